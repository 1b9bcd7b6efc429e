"""An access token of Google for the function's own AWS role, without a stored key.

A signed GetCallerIdentity, which Google shows to AWS, is exchanged for a token of the role, and
that one for a token of the service account. google-auth does the same, with a native library, but
leaves the provider unsigned: here it is signed, so that a leaked subject token fits no other one.
https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds
https://cloud.google.com/iam/docs/samples/iam-workload-identity-aws-credential
https://google.aip.dev/auth/4117
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from common import aws
from common.http import Http, words

SCOPE = "https://www.googleapis.com/auth/bigquery"
# Seconds before its end from which a token is not used any more.
EARLY = 240

_IAM = "https://www.googleapis.com/auth/iam"
_AWS4 = "urn:ietf:params:aws:token-type:aws4_request"
_HTTP = r"https?://[^/\s]+"
# The id of a pool or a provider; what starts with gcp- is Google's own.
# https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create
_ID = "(?!gcp-)[a-z0-9-]{4,32}"
# What `gcloud iam workload-identity-pools create-cred-config … --aws` writes: where each key is, a
# pattern, and an example.
_POOLS = "locations/global/workloadIdentityPools"
_PROVIDER = f"projects/1/{_POOLS}/mimamori-aws/providers/mimamori"
_KEYS = (
    ("type", "external_account", "external_account"),
    (
        "audience",
        rf"//iam\.googleapis\.com/projects/\d+/{_POOLS}/{_ID}/providers/{_ID}",
        f"//iam.googleapis.com/{_PROVIDER}, ids of 4 to 32 characters a-z, 0-9 and -, not gcp-…",
    ),
    ("subject_token_type", re.escape(_AWS4), _AWS4),
    ("token_url", rf"{_HTTP}/\S+", "https://sts.googleapis.com/v1/token"),
    (
        "service_account_impersonation_url",
        rf"{_HTTP}/\S*/serviceAccounts/[^/:\s]+:generateAccessToken",
        "an address that ends with /serviceAccounts/<email>:generateAccessToken",
    ),
    (
        "credential_source.regional_cred_verification_url",
        r"https://[^/?\s]+/?\?\S+",
        "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    ),
)


class GoogleError(Exception):
    """Google gives no token: the configuration is wrong, or it refuses. The message says why."""


@dataclass(frozen=True)
class _Account:
    audience: str
    token_url: str
    impersonation_url: str
    verification_url: str

    @property
    def email(self) -> str:
        """The service account."""
        return self.impersonation_url.rpartition("/")[2].partition(":")[0]


_given: dict[_Account, tuple[str, float]] = {}


def token(credentials: Mapping[str, Any], *, deadline: float) -> str:
    """Return an access token for BigQuery, remembered until 4 minutes before it expires.

    `credentials` is an `external_account` configuration for AWS; `deadline` is by time.monotonic.
    Raises GoogleError, which names the AWS role where it is refused, and Unavailable.
    """
    account = _account(credentials)
    given, expires = _given.get(account, ("", 0.0))
    if time.time() >= expires - EARLY:
        given, expires = _exchange(account, Http("Google", deadline=deadline))
        _given[account] = given, expires
    return given


def forget() -> None:
    """Forget the tokens: for one that is refused before its time."""
    _given.clear()


def _account(credentials: Mapping[str, Any]) -> _Account:
    values = []
    for path, pattern, takes in _KEYS:
        value: Any = credentials
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            got = "missing" if value is None else f"got {value!r:.100}"
            raise GoogleError(f"GOOGLE_CREDENTIALS: {path}: {got}, takes {takes}")
        values.append(value)
    _, audience, _, token_url, impersonation_url, verification_url = values
    return _Account(audience, token_url, impersonation_url, verification_url)


def _exchange(account: _Account, http: Http) -> tuple[str, float]:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": account.audience,
        "scope": _IAM,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": _subject(account),
        "subject_token_type": _AWS4,
    }
    answer = http.request("POST", account.token_url, data=form)
    federated = _read(account, answer, "access_token")
    answer = http.request(
        "POST",
        account.impersonation_url,
        json={"delegates": None, "scope": [SCOPE], "lifetime": "3600s"},
        headers={"Authorization": f"Bearer {federated}"},
    )
    expires = datetime.fromisoformat(_read(account, answer, "expireTime"))
    return _read(account, answer, "accessToken"), expires.timestamp()


def _subject(account: _Account) -> str:
    """Return the subject token: GetCallerIdentity, signed and not sent, as quoted JSON."""
    session = boto3.Session()
    keys, region = session.get_credentials(), session.region_name
    if keys is None or region is None:
        raise GoogleError("there are no AWS credentials, or no region, to sign with")
    url = account.verification_url.replace("{region}", region)
    provider = {"x-goog-cloud-target-resource": account.audience}
    request = AWSRequest("POST", url, provider)
    SigV4Auth(keys.get_frozen_credentials(), "sts", region).add_auth(request)
    headers = {
        "Authorization": request.headers["Authorization"],
        "host": re.split("[/?]", url)[2],
        "x-amz-date": request.headers["X-Amz-Date"],
        **provider,
    }
    if session_token := request.headers.get("X-Amz-Security-Token"):
        headers["x-amz-security-token"] = session_token
    signed = {
        "headers": [{"key": key, "value": value} for key, value in headers.items()],
        "method": "POST",
        "url": url,
    }
    return quote(json.dumps(signed, separators=(",", ":")))


def _read(account: _Account, answer: requests.Response, key: str) -> str:
    try:
        said = answer.json()
        if answer.ok:
            return str(said[key])
        error = said["error"]
        text = (
            error["message"]
            if isinstance(error, Mapping)
            else f"{error}: {said['error_description']}"
        )
    except (ValueError, KeyError, TypeError):
        # What came without it may hold another token.
        text = f"there is no {key} in the answer" if answer.ok else words(answer)
    role = _role()
    pool = account.audience.partition("/providers/")[0]
    raise GoogleError(
        f"Google gives the AWS role {role} no token of {account.email} (HTTP {answer.status_code}):"
        f" {text.rstrip('.')}. The provider {account.audience} must let the role in, and"
        f" principalSet:{pool}/attribute.aws_role/{role}"
        f" must be bound with roles/iam.workloadIdentityUser on {account.email}"
    )


def _role() -> str:
    """Return this function's role as Google calls it: arn:aws:sts::…:assumed-role/<role>."""
    try:
        arn = str(aws.client("sts").get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError) as error:
        return f"(unknown: {error})"
    return arn.rpartition("/")[0] if ":assumed-role/" in arn else arn
