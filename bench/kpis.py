"""Rows and bytes a second, memory and calls of both halves of the KPIs.

The large ones are processes of their own that take turns: from a MariaDB of the bench's own to an
S3 that throws away, and from an S3 to a BigQuery that throws away. The small one runs on the
stack, which plays AWS and Google.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import build
import lifecycle
import seed
import supervision
from bench import calls, exports_place, exports_sink, kpis_sink
from bench.exports_place import COLUMNS, Figures
from stack import GOOGLE_AUDIENCE, GOOGLE_PROJECT, GOOGLE_SERVICE_ACCOUNT, REGION, Stack

ROWS = 1_000_000
TURNS = 3
NAMES = {"keys": "by keys", "lines": "without a key"}
MOST_PEAK = 128e6
BUCKET = "bench-kpis"
PATH = "/bench/myApp"


def run(stack: Stack) -> list[tuple[str, str]]:
    taken: dict[str, list[Figures]] = {way: [] for way in (*NAMES, "load")}
    with (
        _room(stack.root / ".local/exports"),
        exports_place.opened(stack, ROWS) as place,
        exports_sink.serving(stack.port + 7) as taker,
        kpis_sink.serving(stack.port + 8) as both,
    ):
        variables = {**place.aws, "AWS_ENDPOINT_URL_S3": taker, "KPI_BUCKET": "any"}
        sql = f"SELECT %(day)s AS day, {COLUMNS} FROM people"
        for _ in range(TURNS):
            for way in NAMES:
                found, size = _export(way, variables, sql)
                taken[way].append(found)
        variables = {**place.aws, "AWS_ENDPOINT_URL_S3": both, "BIGQUERY_API_BASE": both}
        for _ in range(TURNS):
            answer, _ = _program("load", variables)
            taken["load"].append(Figures(**answer, server=0))
    rows = [
        _said(
            f"`kpi_to_s3`, {ROWS:,} rows ({size / 1e6:.0f} MB) {title}", taken[way], "k rows", 1e3
        )
        for way, title in NAMES.items()
    ]
    title = f"`s3_to_bigquery`, a file of {kpis_sink.SIZE / 1e6:.0f} MB"
    rows.append(_said(title, taken["load"], "MB", 1e6))
    return rows + _calls(stack)


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Remove what the bench of exports left where its place goes, and what this one leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder)


def _export(way: str, variables: Mapping[str, str], sql: str) -> tuple[Figures, int]:
    """Export once; returns the figures, and the file's bytes."""
    answer, log = _program(way, variables, sql=sql)
    written = json.loads(log.splitlines()[-1])
    if written["way"] != way or written["rows"] != ROWS:
        raise RuntimeError(f"{way}: {written}")
    return Figures(**answer, server=0), written["bytes"]


def _program(name: str, variables: Mapping[str, str], **given: Any) -> tuple[Any, str]:
    """Run one of the programs; returns what it answers, and its log."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.kpis_programs", name],
        cwd=build.ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(build.FUNCTIONS), **variables},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout), done.stderr


def _said(what: str, figures: list[Figures], unit: str, units: float) -> tuple[str, str]:
    speeds = [one.speed for one in figures]
    middle, best = median(speeds) / units, max(speeds) / units
    noise = (max(speeds) - min(speeds)) / median(speeds)
    cpu = median(one.cpu for one in figures)
    peak = max(one.peak for one in figures)
    print(
        f"{what:52} {middle:6,.0f} {unit}/s (best {best:,.0f}, spread {noise:.0%} of"
        f" {len(figures)})   CPU {cpu:.2f} s   peak {peak / 1e6:.0f} MB"
        f" ({'within' if peak <= MOST_PEAK else 'OVER'} {MOST_PEAK / 1e6:.0f} MB)",
        flush=True,
    )
    return what, f"{middle:,.0f} {unit}/s, CPU {cpu:.1f} s, {peak / 1e6:.0f} MB"


def _calls(stack: Stack) -> list[tuple[str, str]]:
    # Its AWS forgets when it stops: what this one makes and what Terraform does are alike.
    lifecycle.stop(stack, lambda _: None)
    lifecycle.start(stack, lambda _: None)
    seed.seed(stack)
    variables = _world(stack)
    today = datetime.now(UTC).astimezone(seed.TOKYO).date()
    days = [str(today - timedelta(days=age)) for age in (3, 2, 1)]
    runs = [{"day": day, "kpis": ["sales"]} for day in days]
    both = {"day": days[0], "kpis": ["registrations", "sales"]}
    (one, *_, two), _ = _program("calls", variables, function="kpi_to_s3", events=[*runs, both])
    first, *others = [{"key": f"kpi/sales/dt={day}/sales.csv"} for day in days]
    # The first one makes the dataset.
    _program("calls", variables, function="s3_to_bigquery", events=[first])
    (cold, warm), _ = _program("calls", variables, function="s3_to_bigquery", events=others)
    lifecycle.stop(stack, lambda _: None)
    counts = {
        "`kpi_to_s3`, a run of one small KPI": one,
        "`kpi_to_s3`, each further KPI of a run": Counter(two) - Counter(one),
        "`s3_to_bigquery`, a small KPI, new process": cold,
        "`s3_to_bigquery`, each further one": warm,
    }
    rows = []
    for what, counted in counts.items():
        said = ", ".join(f"{counted[name]} {name}" for name in counted)
        print(f"{what:52} {sum(counted.values()):2} calls: {said}")
        rows.append((f"{what}: calls", said))
    return rows


def _world(stack: Stack) -> dict[str, str]:
    """Make what both functions need on the stack; returns their variables, with a role's keys."""
    iam, sts, s3, ssm = (
        exports_place.client(name, stack.aws_url) for name in ("iam", "sts", "s3", "ssm")
    )
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    # Google lets this one in.
    role = supervision.GOOGLE_ROLES
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_policy(anybody))
    iam.put_role_policy(RoleName=role, PolicyName="bench", PolicyDocument=_policy(anything))
    keys = sts.assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="bench")["Credentials"]
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    values = calls.parameters(stack) | {"GOOGLE_CREDENTIALS": json.dumps(_google(stack))}
    for name, value in values.items():
        ssm.put_parameter(Name=f"{PATH}/{name}", Value=value, Type="String")
    return {
        "AWS_ENDPOINT_URL": stack.aws_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "PARAMETER_PATH": PATH,
        "KPI_BUCKET": BUCKET,
        "BIGQUERY_API_BASE": stack.sandbox_url,
        "BIGQUERY_PROJECT": GOOGLE_PROJECT,
        "BIGQUERY_DATASET": "bench",
        "BIGQUERY_LOCATION": "asia-northeast1",
    }


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _google(stack: Stack) -> dict[str, Any]:
    google = f"{stack.sandbox_url}/google/v1"
    account = f"{google}/projects/-/serviceAccounts/{GOOGLE_SERVICE_ACCOUNT}"
    question = "Action=GetCallerIdentity&Version=2011-06-15"
    return {
        "type": "external_account",
        "audience": GOOGLE_AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{google}/token",
        "service_account_impersonation_url": f"{account}:generateAccessToken",
        "credential_source": {
            "regional_cred_verification_url": f"https://sts.{{region}}.amazonaws.com?{question}"
        },
    }
