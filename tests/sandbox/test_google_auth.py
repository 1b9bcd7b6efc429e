"""Google's token exchange, asked by google-auth, before a real AWS that checks signatures."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, unquote

import pytest
import requests
from google.auth.aws import Credentials
from google.auth.exceptions import OAuthError, RefreshError
from google.auth.transport.requests import Request

from sandbox import google_auth
from sandbox.bigquery_jobs import open_jobs
from sandbox.google import Tokens
from sandbox.google_auth import BadToken, read_subject
from stack import GOOGLE_AUDIENCE, GOOGLE_PROJECT, GOOGLE_SERVICE_ACCOUNT, REGION
from tests.support import until

BIGQUERY = "https://www.googleapis.com/auth/bigquery"
IAM = "https://www.googleapis.com/auth/iam"
HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=A/20261122/r/sts/aws4_request",
    "host": "sts.ap-northeast-1.amazonaws.com",
    "x-amz-date": "20261122T000000Z",
    "x-goog-cloud-target-resource": GOOGLE_AUDIENCE,
}
URL = "https://sts.ap-northeast-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"


def account_path(email=GOOGLE_SERVICE_ACCOUNT):
    return f"/google/v1/projects/-/serviceAccounts/{email}:generateAccessToken"


def credentials(server, scopes=(BIGQUERY,), **changed):
    """What google-auth makes of an `external_account` configuration, as the function has one."""
    email = changed.pop("email", GOOGLE_SERVICE_ACCOUNT)
    info = {
        "type": "external_account",
        "audience": GOOGLE_AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{server.url}/google/v1/token",
        "service_account_impersonation_url": server.url + account_path(email),
        "universe_domain": "sandbox.test",  # with Google's own it asks Google in the background
        "credential_source": {
            "environment_id": "aws1",
            "regional_cred_verification_url": (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            ),
        },
        **changed,
    }
    return Credentials.from_info(info, scopes=list(scopes))


def sign_as(monkeypatch, key, secret, token=None):
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)


def subject(url=URL, method="POST", **headers):
    given = {name: value for name, value in {**HEADERS, **headers}.items() if value is not None}
    listed = [{"key": name, "value": value} for name, value in given.items()]
    return quote(json.dumps({"url": url, "method": method, "headers": listed}))


def post(server, path, *, token=None, **body):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(server.url + path, headers=headers, timeout=10, **body)


def test_a_role_becomes_the_service_account(front, role, monkeypatch):
    sign_as(monkeypatch, *role())
    made = credentials(front)
    made.refresh(Request())
    assert made.token.startswith("ya29.")
    left = made.expiry.replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(minutes=58) < left <= timedelta(hours=1)
    url = f"{front.url}/bigquery/v2/projects/{GOOGLE_PROJECT}/datasets"
    answer = requests.get(url, headers={"Authorization": f"Bearer {made.token}"}, timeout=10)
    assert answer.json() == {"kind": "bigquery#datasetList", "datasets": []}


@pytest.mark.parametrize("what", ["secret", "token", "key"])
def test_a_signature_that_is_wrong(front, role, monkeypatch, what):
    key, secret, token = role()
    wrong = {"secret": secret, "token": token, "key": key} | {what: "ASIAWRONG"}
    sign_as(monkeypatch, wrong["key"], wrong["secret"], wrong["token"])
    with pytest.raises(OAuthError, match="invalid_grant.*AWS refused the signature"):
        credentials(front).refresh(Request())


def test_a_root_key_is_not_a_role(front, monkeypatch):
    sign_as(monkeypatch, "test", "never checked")
    with pytest.raises(OAuthError, match="unauthorized_client.*:root is not an assumed role"):
        credentials(front).refresh(Request())


def test_a_role_that_is_not_let_in_is_named(start_sandbox, tmp_path, aws, role, monkeypatch):
    sign_as(monkeypatch, *role())
    with (
        start_sandbox(tmp_path, aws=aws.url, SANDBOX_GOOGLE_ROLES="other-*, b") as server,
        pytest.raises(OAuthError) as refused,
    ):
        credentials(server).refresh(Request())
    assert "unauthorized_client" in str(refused.value)
    assert "permission denied: the assumed role role-" in str(refused.value)


def test_an_aws_that_is_away(sandbox, monkeypatch):
    sign_as(monkeypatch, "AKIA", "s")
    with pytest.raises(OAuthError, match="temporarily_unavailable.*could not be asked"):
        credentials(sandbox).refresh(Request())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"audience": "//iam.googleapis.com/other"}, "invalid_target.*'audience'"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "subject_token_type"),
    ],
)
def test_a_configuration_that_is_wrong(front, role, monkeypatch, changed, words):
    sign_as(monkeypatch, *role())
    with pytest.raises(OAuthError, match=words):
        credentials(front, **changed).refresh(Request())


def test_another_service_account(front, role, monkeypatch):
    sign_as(monkeypatch, *role())
    with pytest.raises(RefreshError, match="getAccessToken.*role role-"):
        credentials(front, email="x@y.z").refresh(Request())


@pytest.mark.parametrize(
    ("service", "error"),
    [("google-sts", OAuthError), ("google-iam", RefreshError)],
)
def test_faults(front, role, monkeypatch, service, error):
    sign_as(monkeypatch, *role())
    front.fault(service=service, status=503, message="later")
    made = credentials(front)
    with pytest.raises(error, match="later"):
        made.refresh(Request())
    made.refresh(Request())


def test_a_token_of_the_exchange_opens_no_table(front, role, monkeypatch):
    sign_as(monkeypatch, *role())
    made = credentials(front, scopes=[BIGQUERY], service_account_impersonation_url=None)
    made.refresh(Request())
    url = f"{front.url}/bigquery/v2/projects/{GOOGLE_PROJECT}/datasets"
    answer = requests.get(url, headers={"Authorization": f"Bearer {made.token}"}, timeout=10)
    assert answer.status_code == 401
    assert answer.json()["error"]["errors"][0]["reason"] == "authError"
    assert (
        post(front, account_path(), token=made.token, json={"scope": [BIGQUERY]}).status_code == 403
    )


@pytest.mark.parametrize(
    "body",
    [
        {"data": b"["},
        {"json": []},
        {"json": {"scope": BIGQUERY}},
        {"json": {"scope": []}},
        {"json": {"scope": ["x"]}},
        {"json": {"scope": [BIGQUERY], "lifetime": "3601s"}},
        {"json": {"scope": [BIGQUERY], "lifetime": 3600}},
    ],
    ids=range(7),
)
def test_an_impersonation_that_cannot_be_read(front, role, monkeypatch, body):
    sign_as(monkeypatch, *role())
    made = credentials(front, scopes=[IAM], service_account_impersonation_url=None)
    made.refresh(Request())
    answer = post(front, account_path(), token=made.token, **body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_token_of_a_second_is_over_then(front, role, monkeypatch):
    sign_as(monkeypatch, *role())
    made = credentials(front, scopes=[IAM], service_account_impersonation_url=None)
    made.refresh(Request())
    body = {"scope": [BIGQUERY], "lifetime": "1s"}
    token = post(front, account_path(), token=made.token, json=body).json()["accessToken"]
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{front.url}/bigquery/v2/projects/{GOOGLE_PROJECT}/datasets"
    until(lambda: requests.get(url, headers=headers, timeout=10).status_code == 401)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a signed request"),
        ("%5B%5D", "not a signed request"),
        (quote('{"headers": [1]}'), "not a signed request"),
        (subject(method="GET"), "must be a POST"),
        (subject(url=URL.replace("https", "http")), "must go to https"),
        (subject(url=URL.replace("amazonaws.com", "amazonaws.com.evil.test")), "must go to"),
        (subject(url=URL.replace("sts.", "x@sts.")), "must go to"),
        (subject(url=URL.replace("?", "/path?")), "must go to"),
        (subject(url=URL.replace("GetCallerIdentity", "AssumeRole")), "GetCallerIdentity"),
        (subject(url=URL + "&X=1"), "GetCallerIdentity"),
        (subject(host="sts.us-east-1.amazonaws.com"), "'host'"),
        (subject(**{"x-goog-cloud-target-resource": "//other"}), "target-resource"),
        (subject(Authorization=None), "not signed"),
        (subject(**{"x-amz-date": "a\r\nb: c"}), "A header"),
        (subject(**{"x y": "z"}), "A header"),
    ],
    ids=range(15),
)
def test_a_subject_token_that_is_none(text, words):
    with pytest.raises(BadToken, match=words):
        read_subject(text, GOOGLE_AUDIENCE)


def test_a_subject_token_is_read_as_it_is():
    query, headers = read_subject(subject(), GOOGLE_AUDIENCE)
    assert parse_qs(query) == {"Action": ["GetCallerIdentity"], "Version": ["2011-06-15"]}
    assert headers == HEADERS
    assert json.loads(unquote(subject()))["method"] == "POST"


@pytest.mark.parametrize("name", ["AUDIENCE", "ROLES", "SERVICE_ACCOUNT"])
def test_a_setting_that_is_missing_is_named(name):
    names = ["SANDBOX_AWS_ENDPOINT"]
    names += [f"SANDBOX_GOOGLE_{one}" for one in ("AUDIENCE", "ROLES", "SERVICE_ACCOUNT")]
    environ = {**dict.fromkeys(names, "x"), f"SANDBOX_GOOGLE_{name}": ""}
    with pytest.raises(RuntimeError, match=f"SANDBOX_GOOGLE_{name}"):
        google_auth.play(Tokens(), environ)
    with pytest.raises(RuntimeError, match="SANDBOX_GOOGLE_PROJECT"):
        open_jobs(None, {"SANDBOX_DIR": "x"})


@pytest.mark.parametrize(
    ("pool", "provider"),
    [
        ("aws", "mimamori"),
        ("a" * 33, "mimamori"),
        ("gcp-x", "mimamori"),
        ("Pool", "mimamori"),
        ("mimamori-aws", "aws"),
        ("mimamori-aws", "under_score"),
    ],
)
def test_a_pool_or_a_provider_that_google_would_not_make(pool, provider):
    audience = f"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/{pool}"
    environ = {
        "SANDBOX_AWS_ENDPOINT": "x",
        "SANDBOX_GOOGLE_AUDIENCE": f"{audience}/providers/{provider}",
        "SANDBOX_GOOGLE_ROLES": "x",
        "SANDBOX_GOOGLE_SERVICE_ACCOUNT": "x",
    }
    with pytest.raises(RuntimeError, match="SANDBOX_GOOGLE_AUDIENCE: .* 4 to 32"):
        google_auth.play(Tokens(), environ)
