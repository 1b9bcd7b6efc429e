"""Calls and seconds of a reconcile and a suspend for 10 to 5,000 resources; hours saved a week.

The resources are half machines and half databases in moto, in this process: the seconds are moto's
more than the function's.
"""

import json
import logging
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

import build
from stack import Stack

COUNTS = (10, 500, 5000)
TAG = {"Key": "Schedule", "Value": "office-hours"}
SERVICES = ("ec2", "rds", "autoscaling", "ecs", "resourcegroupstaggingapi", "dynamodb")
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "LOOKS_TABLE": "looks",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_RDS_SNAPSHOT_LIMIT": "100000",
}


def fill(count: int) -> None:
    ec2, rds = boto3.client("ec2"), boto3.client("rds")
    boto3.client("dynamodb").create_table(
        TableName=ENVIRONMENT["LOOKS_TABLE"],
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "schedule", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "schedule", "AttributeType": "S"}],
    )
    image = ec2.register_image(Name="any")["ImageId"]
    specification = [{"ResourceType": "instance", "Tags": [TAG]}]
    for _ in range(count // 2):
        # Alone: moto counts reservations into a page, AWS counts machines.
        ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=specification)
    for number in range(count - count // 2):
        rds.create_db_instance(
            DBInstanceIdentifier=f"db-{number}",
            Engine="mysql",
            DBInstanceClass="db.t4g.micro",
            AllocatedStorage=20,
            MasterUsername="any",
            MasterUserPassword="any-password",
            Tags=[TAG],
        )


def timed(event: dict[str, Any]) -> tuple[dict[str, Any], Counter[str], float]:
    from common import aws  # noqa: PLC0415 (of the tree that `run` puts on the path)
    from env_scheduler.handler import handler  # noqa: PLC0415

    calls: Counter[str] = Counter()
    for service in SERVICES:
        events = aws.client(service).meta.events
        events.register("before-call", lambda model, **_: calls.update([model.name]), "bench")
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 3_600_000)
    began = time.perf_counter()
    answer = handler(event, context)
    taken = time.perf_counter() - began
    for service in SERVICES:
        aws.client(service).meta.events.unregister("before-call", unique_id="bench")
    return answer, calls, taken


def run(_: Stack) -> list[tuple[str, str]]:
    sys.path.insert(0, str(build.FUNCTIONS))
    from bench.hours_asleep import asleep  # noqa: PLC0415
    from common import aws  # noqa: PLC0415
    from env_scheduler.schedules import Schedule  # noqa: PLC0415

    rows = []
    for count in COUNTS:
        with patch.dict(os.environ, ENVIRONMENT), mock_aws():
            aws.client.cache_clear()
            fill(count)
            logging.disable()
            looked = {"schedule": {}, "dry_run": True}
            for what, event in (("looking", looked), ("suspend", {"action": "suspend"})):
                answer, calls, taken = timed(event)
                said = ", ".join(f"{n} {name}" for name, n in sorted(calls.items()))
                print(f"{count:5,} resources, {what}: {said}   {taken:.1f} s")
                figure = f"{calls.total()} calls, {taken:.1f} s"
                rows.append((f"`env_scheduler`, {count:,} resources, {what}", figure))
            changed = sum(one["changed"] for one in answer["kinds"])
            if changed != count:
                raise RuntimeError(f"{count} resources, but {json.dumps(answer)[:2000]}")
            logging.disable(logging.NOTSET)
            aws.client.cache_clear()
    monday = datetime(2026, 11, 29, 15, tzinfo=UTC)  # 00:00 in Tokyo, a week without a holiday
    hours = asleep(Schedule(), monday, monday + timedelta(days=7))
    print(f"default schedule: {hours:.0f} of 168 hours a week asleep, if woken at 9 on weekdays")
    rows.append(("Hours asleep a week by the default schedule", f"{hours:.0f} of 168"))
    return rows
