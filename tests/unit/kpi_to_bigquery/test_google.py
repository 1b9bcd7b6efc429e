"""The way to a token: the same requests as google-auth's, and what is said where it is refused."""

import json
import re
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote

import google.auth.transport.requests
import pytest
import requests
import responses
from google.auth.aws import Credentials

from common import http
from common.http import Unavailable
from kpi_to_bigquery import google as ours

NOW = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
POOL = "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/mimamori-aws"
EMAIL = "mimamori@a-project.iam.gserviceaccount.com"
STS = "https://sts.googleapis.com/v1/token"
IAM = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
CREDENTIALS = {
    "universe_domain": "googleapis.com",
    "type": "external_account",
    "audience": f"{POOL}/providers/mimamori",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "token_url": STS,
    "service_account_impersonation_url": f"{IAM}/{EMAIL}:generateAccessToken",
    "credential_source": {
        "environment_id": "aws1",
        "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
        "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
        "regional_cred_verification_url": (
            "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
        ),
    },
}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(http, "_backoff", lambda _: 0)
    ours.forget()
    yield
    ours.forget()


@pytest.fixture
def answers():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def grant(answers, expires="2026-11-22T02:02:03Z"):
    answers.post(STS, json={"access_token": "federated", "expires_in": 3600})
    answers.post(
        CREDENTIALS["service_account_impersonation_url"],
        json={"accessToken": "theirs", "expireTime": expires},
    )


def token(credentials=CREDENTIALS):
    return ours.token(credentials, deadline=time.monotonic() + 600)


def said(call):
    """A request without what tells one client from another, and what its token's signature covers.

    The signature itself is left out: it differs with what it covers, and AWS checks it in
    test_google_signature.
    """
    own = {"x-goog-api-client", "user-agent", "content-length", "accept", "accept-encoding"}
    headers = {
        name.lower(): value
        for name, value in call.request.headers.items()
        if name.lower() not in own | {"connection", "x-allowed-locations"}
    }
    body = call.request.body
    text = body.decode() if isinstance(body, bytes) else body
    if headers["content-type"] == "application/json":
        fields = json.loads(text)
    else:
        fields = {name: values[0] for name, values in parse_qs(text).items()}
        signed = json.loads(unquote(fields.pop("subject_token")))
        signed["headers"] = {one["key"]: one["value"] for one in signed["headers"]}
        start, covered = re.fullmatch(
            "(.+), ?SignedHeaders=(.+), ?Signature=[0-9a-f]{64}",
            signed["headers"].pop("Authorization"),
        ).groups()
        fields |= {"signed": signed, "credential": start, "covered": set(covered.split(";"))}
    return call.request.method, call.request.url, headers, fields


@pytest.mark.parametrize("session", ["a/session+token==", None], ids=["session", "no session"])
def test_our_requests_are_those_of_google_auth(answers, monkeypatch, session):
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/of+the+tests")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    if session:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))
    monkeypatch.setattr("google.auth._helpers.utcnow", lambda: NOW.replace(tzinfo=None))
    grant(answers)
    token()
    # With Google's own domain it asks Google in the background.
    info = CREDENTIALS | {"universe_domain": "sandbox.test"}
    theirs = Credentials.from_info(info, scopes=[ours.SCOPE])
    with requests.Session() as connection:
        theirs.refresh(google.auth.transport.requests.Request(connection))
    mine, their = answers.calls[:2], answers.calls[2:]
    mine, their = [said(call) for call in mine], [said(call) for call in their]
    form = mine[0][3]
    # The one difference: google-auth adds the provider to what it has signed already, we sign it,
    # as the sample of Google's documentation does. So a leaked token fits no other provider.
    own = {"host", "x-amz-date"} | ({"x-amz-security-token"} if session else set())
    assert their[0][3].pop("covered") == own
    assert form.pop("covered") == own | {"x-goog-cloud-target-resource"}
    assert set(form["signed"]["headers"]) == own | {"x-goog-cloud-target-resource"}
    assert mine == their


@pytest.mark.parametrize("name", ["aws4", "a" * 32, "0-9-"])
def test_ids_of_a_pool_and_a_provider(answers, name):
    grant(answers)
    pool = POOL.replace("mimamori-aws", name)
    assert token(CREDENTIALS | {"audience": f"{pool}/providers/{name}"}) == "theirs"


def test_a_token_is_remembered_until_shortly_before_its_end(answers, monkeypatch):
    grant(answers)
    end = datetime(2026, 11, 22, 2, 2, 3, tzinfo=UTC).timestamp()
    for before, calls in ((3600, 2), (241, 2), (240, 4), (3600, 4)):
        monkeypatch.setattr(ours.time, "time", lambda at=end - before: at)
        assert token() == "theirs"
        assert len(answers.calls) == calls
    ours.forget()
    assert token() == "theirs"
    assert len(answers.calls) == 6


def without(path):
    changed = json.loads(json.dumps(CREDENTIALS))
    place = changed
    *outer, last = path.split(".")
    for key in outer:
        place = place[key]
    del place[last]
    return changed


@pytest.mark.parametrize("path", [path for path, _, _ in ours._KEYS])
def test_a_key_that_is_missing_is_named(answers, path):
    with pytest.raises(ours.GoogleError, match=rf"GOOGLE_CREDENTIALS: {path}: missing, takes "):
        token(without(path))
    assert not answers.calls


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("type", "service_account"),
        ("audience", "https://iam.googleapis.com/x"),
        ("audience", CREDENTIALS["audience"].replace("mimamori-aws", "aws")),
        ("audience", CREDENTIALS["audience"].replace("mimamori-aws", "a" * 33)),
        ("audience", CREDENTIALS["audience"].replace("mimamori-aws", "Mimamori")),
        ("audience", CREDENTIALS["audience"].replace("mimamori-aws", "gcp-aws")),
        ("audience", CREDENTIALS["audience"].replace("providers/mimamori", "providers/aws")),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("token_url", "sts.googleapis.com/v1/token"),
        ("token_url", 7),
        ("service_account_impersonation_url", f"{IAM}/{EMAIL}"),
    ],
    ids=range(11),
)
def test_a_key_that_is_wrong_is_named(answers, key, value):
    grant(answers)
    with pytest.raises(ours.GoogleError, match=rf"GOOGLE_CREDENTIALS: {key}: got "):
        token(CREDENTIALS | {key: value})
    assert not answers.calls


@pytest.mark.parametrize(
    ("step", "status", "body", "words"),
    [
        (0, 401, {"error": "unauthorized_client", "error_description": "Rejected."}, "Rejected."),
        (0, 400, "what?", "HTTP 400 what\\?"),
        (0, 200, {"token": "?"}, "HTTP 200\\): there is no access_token in the answer"),
        (1, 200, {"accessToken": "secret"}, "there is no expireTime in the answer"),
        (1, 403, {"error": {"code": 403, "message": "Permission denied."}}, "Permission denied."),
    ],
    ids=["condition", "no JSON", "no token", "no end", "not bound"],
)
def test_a_refusal_names_the_role_and_what_to_do(monkeypatch, step, status, body, words):
    arn = "arn:aws:sts::111122223333:assumed-role/prod-s3_to_bigquery"

    class Sts:
        def get_caller_identity(self):
            return {"Arn": f"{arn}/prod-s3_to_bigquery"}

    monkeypatch.setattr(ours, "aws", SimpleNamespace(client=lambda _: Sts()))
    answer = {"json": body} if isinstance(body, dict) else {"body": body}
    with responses.RequestsMock() as answers:
        if step:
            answers.post(STS, json={"access_token": "federated", "expires_in": 3600})
        url = [STS, CREDENTIALS["service_account_impersonation_url"]][step]
        answers.post(url, status=status, **answer)
        with pytest.raises(ours.GoogleError, match=words) as error:
            token()
    for part in (
        arn,
        f"principalSet:{POOL}/attribute.aws_role/{arn}",
        "roles/iam.workloadIdentityUser",
        EMAIL,
    ):
        assert part in str(error.value)
    assert "secret" not in str(error.value)


def test_google_is_asked_again_where_it_fails(answers):
    answers.post(STS, status=503)
    grant(answers)
    assert token() == "theirs"
    assert [call.response.status_code for call in answers.calls] == [503, 200, 200]


def test_google_that_is_down(answers):
    answers.post(STS, status=503, body="down")
    with pytest.raises(Unavailable, match=r"Google: POST .*/v1/token: HTTP 503 down"):
        ours.token(CREDENTIALS, deadline=time.monotonic())


def test_no_credentials_of_aws(answers, monkeypatch):
    monkeypatch.setattr(ours.boto3.Session, "get_credentials", lambda _: None)
    with pytest.raises(ours.GoogleError, match="no AWS credentials"):
        token()
