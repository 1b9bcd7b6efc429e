"""A world of the loads' own: a bucket, the played Google, and a dataset for each test."""

import json
import re
from datetime import date
from types import SimpleNamespace

import pytest
import requests

from common import aws, http, parameters, sqs
from kpi_to_bigquery import google, kpis, loads, standing
from kpi_to_bigquery.bigquery import BigQuery
from kpi_to_bigquery.s3_to_bigquery import handler
from stack import GOOGLE_AUDIENCE, GOOGLE_PROJECT, GOOGLE_SERVICE_ACCOUNT
from tests.sandbox import conftest as sandboxes
from tests.sandbox.warehouse import client, trusting_aws

BUCKET = "a-bucket-of-kpis"
SALES = """/*
owner = "growth"
description = "Sales of a day"
partition = "day"
[columns.day]
type = "DATE"
[columns.shop]
type = "STRING"
description = "where"
[columns.sum]
type = "INT64"
*/
SELECT 1
"""
EARLY, DAY = date(2026, 11, 21), date(2026, 11, 22)
HEAD = '"day","shop","sum"\r\n'

start_sandbox = sandboxes.start_sandbox


@pytest.fixture(scope="module")
def sandbox(start_sandbox, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kpis")
    with trusting_aws() as trusting, start_sandbox(folder, aws=trusting) as server:
        yield server


@pytest.fixture(scope="module")
def warehouse(sandbox):
    """BigQuery's own client."""
    with client(sandbox) as made:
        yield made


@pytest.fixture
def quick(monkeypatch):
    """Ask for the state of a job in small steps."""
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    pauses = BigQuery.pauses
    monkeypatch.setattr(BigQuery, "pauses", lambda self, *_: pauses(self, 0.02, 0.1))


class World:
    """A bucket, a dataset of its own, and the KPIs of a folder."""

    def __init__(self, warehouse, folder, context, dataset):
        self.warehouse, self.folder, self.context = warehouse, folder, context
        self.dataset = dataset

    def declare(self, sql=SALES, name="sales"):
        (self.folder / f"{name}.sql").write_text(sql, encoding="utf-8")

    def put(self, *rows, name="sales", day=DAY, head=HEAD, **metadata):
        """Write a file, and return its event."""
        text = head + "".join(f"{row}\r\n" for row in rows)
        key = kpis.key(name, day)
        answer = aws.client("s3").put_object(
            Bucket=BUCKET, Key=key, Body=text.encode(), Metadata=metadata
        )
        return {
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": BUCKET},
                "object": {
                    "key": key.replace("=", "%3D"),
                    "eTag": answer["ETag"].strip('"'),
                    **({"versionId": answer["VersionId"]} if "VersionId" in answer else {}),
                },
            },
        }

    def notify(self, *messages):
        """Call the function as the queue does; each message has notices of S3, or is any text."""
        records = [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "attributes": {"ApproximateReceiveCount": "2"},
                "eventSource": "aws:sqs",
                "body": body if isinstance(body, str) else json.dumps({"Records": body}),
            }
            for number, body in enumerate(messages)
        ]
        answer = handler({"Records": records}, self.context)
        return answer["loaded"], [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    def rows(self, table="sales"):
        found = self.warehouse.list_rows(f"{GOOGLE_PROJECT}.{self.dataset}.{table}")
        return sorted((tuple(row.values()) for row in found), key=repr)

    def jobs(self):
        """The ids of all load jobs into this dataset, oldest first, without those of notes."""
        listed = [
            (job.created, job.job_id)
            for job in self.warehouse.list_jobs(max_results=200)
            if job.destination.dataset_id == self.dataset and not job.job_id.endswith("_noted")
        ]
        return [job_id for _, job_id in sorted(listed)]


@pytest.fixture
def world(request, put_parameter, sandbox, warehouse, quick, context, tmp_path, monkeypatch):
    dataset = re.sub(r"\W", "_", request.node.name)
    ours = SimpleNamespace(**vars(kpis) | {"load": lambda name: kpis.load(name, tmp_path)})
    for module in (loads, standing):
        monkeypatch.setattr(module, "kpis", ours)
    for name, value in {
        "KPI_BUCKET": BUCKET,
        "BIGQUERY_PROJECT": GOOGLE_PROJECT,
        "BIGQUERY_DATASET": dataset,
        "BIGQUERY_LOCATION": "asia-northeast1",
        "BIGQUERY_API_BASE": sandbox.url,
        "KPI_QUEUE_URL": "queue",
        "RETRY_SECONDS": "60",
    }.items():
        monkeypatch.setenv(name, value)
    hidden = []
    monkeypatch.setattr(sqs, "hide", lambda *message: hidden.append(message))
    s3 = aws.client("s3")
    s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
    )
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    account = f"serviceAccounts/{GOOGLE_SERVICE_ACCOUNT}:generateAccessToken"
    credentials = {
        "type": "external_account",
        "audience": GOOGLE_AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{sandbox.url}/google/v1/token",
        "service_account_impersonation_url": f"{sandbox.url}/google/v1/projects/-/{account}",
        "credential_source": {
            "regional_cred_verification_url": (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            )
        },
    }
    put_parameter("GOOGLE_CREDENTIALS", json.dumps(credentials))
    parameters._known.clear()
    google.forget()
    made = World(warehouse, tmp_path, context, dataset)
    made.hidden = hidden
    made.declare()
    yield made
    left = requests.get(f"{sandbox.url}/faults", timeout=10).json()
    requests.delete(f"{sandbox.url}/faults", timeout=10)
    assert left == []
