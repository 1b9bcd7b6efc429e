"""A token for a role of an AWS that checks signatures, from the played Google before it."""

import json
import time
from urllib.parse import quote, unquote

import boto3
import pytest
import requests

from kpi_to_bigquery import google
from kpi_to_bigquery.bigquery import BigQuery
from stack import GOOGLE_AUDIENCE, GOOGLE_PROJECT, GOOGLE_SERVICE_ACCOUNT
from tests.sandbox import conftest as sandboxes

aws, client, role = sandboxes.aws, sandboxes.client, sandboxes.role
front, start_sandbox = sandboxes.front, sandboxes.start_sandbox


@pytest.fixture
def become(monkeypatch, aws):
    """Run as a role of the laptop's AWS."""
    google.forget()

    def become(key, secret, session):
        # It keeps the credentials that it found first.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_SESSION_TOKEN", session)

    yield become
    google.forget()


def configured(server):
    account = f"serviceAccounts/{GOOGLE_SERVICE_ACCOUNT}:generateAccessToken"
    return {
        "type": "external_account",
        "audience": GOOGLE_AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{server.url}/google/v1/token",
        "service_account_impersonation_url": f"{server.url}/google/v1/projects/-/{account}",
        "credential_source": {
            "regional_cred_verification_url": (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            )
        },
    }


def token(server):
    return google.token(configured(server), deadline=time.monotonic() + 600)


def test_a_role_reads_bigquery(front, role, become, monkeypatch):
    become(*role())
    monkeypatch.setenv("BIGQUERY_API_BASE", front.url)
    bq = BigQuery(
        GOOGLE_PROJECT,
        "kpi",
        "asia-northeast1",
        token=lambda: token(front),
        deadline=time.monotonic() + 600,
    )
    assert bq.find("a-job") is None


def test_a_role_that_is_not_let_in_is_named(aws, start_sandbox, role, become, tmp_path):
    become(*role())
    with (
        start_sandbox(tmp_path, aws=aws.url, SANDBOX_GOOGLE_ROLES="another") as server,
        pytest.raises(google.GoogleError) as error,
    ):
        token(server)
    pool = GOOGLE_AUDIENCE.partition("/providers/")[0]
    for part in (
        "AWS role arn:aws:sts::000000000000:assumed-role/role-",
        f"principalSet:{pool}/attribute.aws_role/arn:aws:sts::000000000000:assumed-role/role-",
        "permission denied",
    ):
        assert part in str(error.value)


def test_a_wrong_signature(front, role, become):
    key, _, session = role()
    become(key, "wrong", session)
    with pytest.raises(google.GoogleError, match="AWS refused the signature"):
        token(front)


def test_a_token_for_another_provider_is_of_no_use(front, role, become):
    become(*role())
    other = f"{GOOGLE_AUDIENCE}-2"
    leaked = google._subject(google._account(configured(front) | {"audience": other}))
    turned = json.loads(unquote(leaked))
    for header in turned["headers"]:
        if header["value"] == other:
            header["value"] = GOOGLE_AUDIENCE
    for subject, words in (
        (leaked, "is not the audience"),
        (quote(json.dumps(turned)), "AWS refused the signature: SignatureDoesNotMatch"),
    ):
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": GOOGLE_AUDIENCE,
            "scope": "https://www.googleapis.com/auth/iam",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": subject,
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        }
        answer = requests.post(f"{front.url}/google/v1/token", data=form, timeout=10)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert words in answer.json()["error_description"]
