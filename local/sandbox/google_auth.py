"""Google's token exchange for workloads on AWS, and the impersonation of a service account.

A token of the laptop's AWS is a signed GetCallerIdentity: it is sent on to that AWS with its
headers as they are, and what AWS says of the caller counts. The address in the token is only
looked at. A client may sign the header that names the provider, as the sample of Google's
documentation does, or leave it unsigned, as google-auth does. The laptop's AWS does not check the
signatures of its root keys: no root is let in.

What the documentation does not say, and is a guess here: most words of the errors; 401 for
`unauthorized_client`, whose words in Google's own answer do not name the role; that any role which
the provider lets in may impersonate the service account.
"""

import fnmatch
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import google, onward
from sandbox.google import LIFETIME, Refused, Tokens
from sandbox.service import Service, setting

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (a name)
_AWS4 = "urn:ietf:params:aws:token-type:aws4_request"
_HOST = re.compile(r"sts\.[a-z0-9-]+\.amazonaws\.com")
_QUERY = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_ARN = re.compile(r"<Arn>([^<]+)</Arn>")
_ROLE = re.compile(r"arn:aws:sts::\d{12}:assumed-role/([^/]+)/[^/]+")
_IAM = "https://www.googleapis.com/auth/iam"
# https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create
_ID = "(?!gcp-)[a-z0-9-]{4,32}"
_PROVIDER = re.compile(
    r"//iam\.googleapis\.com/projects/\d+/locations/global"
    rf"/workloadIdentityPools/{_ID}/providers/{_ID}"
)
_SCOPE = "https://www.googleapis.com/auth/"
_OAUTH = {400: "invalid_request", 401: "unauthorized_client", 403: "access_denied"}


class BadToken(Exception):
    """A token exchange that is refused: (HTTP status, OAuth's error, description)."""


@dataclass(frozen=True)
class Pool:
    """The provider of identities, and the one service account. `roles` are patterns."""

    tokens: Tokens
    aws: str
    audience: str
    roles: tuple[str, ...]
    account: str


def play(tokens: Tokens, environ: Mapping[str, str]) -> list[Service]:
    """Make the services of the environment.

    SANDBOX_GOOGLE_AUDIENCE: the provider; SANDBOX_GOOGLE_ROLES: the roles that it lets in, comma
    separated, * for anything; SANDBOX_GOOGLE_SERVICE_ACCOUNT; SANDBOX_AWS_ENDPOINT: who is asked.
    Raises RuntimeError for a setting that is missing, or a provider that Google would not make.
    """
    pool = Pool(
        tokens=tokens,
        aws=setting(environ, "SANDBOX_AWS_ENDPOINT"),
        audience=setting(environ, "SANDBOX_GOOGLE_AUDIENCE"),
        roles=tuple(role.strip() for role in setting(environ, "SANDBOX_GOOGLE_ROLES").split(",")),
        account=setting(environ, "SANDBOX_GOOGLE_SERVICE_ACCOUNT"),
    )
    if not _PROVIDER.fullmatch(pool.audience):
        raise RuntimeError(
            f"SANDBOX_GOOGLE_AUDIENCE: got {pool.audience}, takes //iam.googleapis.com"
            "/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER,"
            " POOL and PROVIDER of 4 to 32 characters a-z, 0-9 and -, not gcp-…"
        )

    async def exchange(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            return JSONResponse(await run_in_threadpool(_exchange, pool, form))
        except BadToken as bad:
            status, error, description = bad.args
            return _oauth(status, error, description)

    async def generate(request: Request) -> Response:
        try:
            return JSONResponse(_generate(pool, request, await request.body()))
        except Refused as refused:
            return google.answer(refused)

    account = "/google/v1/projects/-/serviceAccounts/{email}:generateAccessToken"
    return [
        Service("google-sts", [Route("/google/v1/token", exchange, methods=["POST"])], refuse),
        Service("google-iam", [Route(account, generate, methods=["POST"])], google.refuse),
    ]


def refuse(_: Request, status: int, message: str | None) -> Response:
    """Answer an error in OAuth's shape, `{"error", "error_description"}`."""
    error = _OAUTH.get(status, "temporarily_unavailable" if status >= 500 else "invalid_request")
    return _oauth(status, error, message or "The request failed.")


def _oauth(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)


def read_subject(text: str, audience: str) -> tuple[str, dict[str, str]]:
    """Read a subject token, percent-encoded JSON: the signed query, and the headers as given.

    Raises BadToken (400, invalid_grant) for what is not a GetCallerIdentity for this audience.
    """
    try:
        token = json.loads(unquote(text))
        headers = {str(one["key"]): str(one["value"]) for one in token["headers"]}
        method, url = token["method"], urlsplit(token["url"])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise _invalid("The subject token is not a signed request in JSON.") from None
    lower = {name.lower(): value for name, value in headers.items()}
    if method != "POST":
        raise _invalid(f"The request must be a POST, not {ascii(method)[:20]}.")
    if url.scheme != "https" or not _HOST.fullmatch(url.netloc) or url.path not in ("", "/"):
        raise _invalid("The request must go to https://sts.<region>.amazonaws.com.")
    if sorted(parse_qsl(url.query)) != sorted(_QUERY.items()):
        raise _invalid("The request must be GetCallerIdentity of 2011-06-15.")
    if lower.get("host") != url.netloc:
        raise _invalid("The header 'host' is not the host of the request.")
    if lower.get("x-goog-cloud-target-resource") != audience:
        raise _invalid("The header 'x-goog-cloud-target-resource' is not the audience.")
    if "authorization" not in lower or "x-amz-date" not in lower:
        raise _invalid("The request is not signed.")
    if not all(_HEADER.fullmatch(name) and value.isprintable() for name, value in headers.items()):
        raise _invalid("A header of the request is not one.")
    return url.query, headers


def _exchange(pool: Pool, form: Mapping[str, str]) -> dict[str, Any]:
    demanded = {
        "grant_type": (_GRANT, "unsupported_grant_type"),
        "audience": (pool.audience, "invalid_target"),
        "subject_token_type": (_AWS4, "invalid_request"),
        "requested_token_type": (_ACCESS_TOKEN, "invalid_request"),
    }
    for name, (value, error) in demanded.items():
        if form.get(name) != value:
            given = ascii(form.get(name, ""))[:200]
            raise BadToken(400, error, f"Invalid value for '{name}': {given}.")
    scopes = frozenset(form.get("scope", "").split())
    if not scopes or not all(scope.startswith(_SCOPE) for scope in scopes):
        raise BadToken(400, "invalid_scope", "Invalid value for 'scope'.")
    role = _role(pool, *read_subject(form.get("subject_token", ""), pool.audience))
    if not any(fnmatch.fnmatchcase(role, pattern) for pattern in pool.roles):
        words = f"permission denied: the assumed role {role} is not let in by the provider."
        raise BadToken(401, "unauthorized_client", words)
    return {
        "access_token": pool.tokens.give(role, scopes, impersonated=False),
        "issued_token_type": _ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": LIFETIME,
    }


def _role(pool: Pool, query: str, headers: Mapping[str, str]) -> str:
    """Ask AWS who signed, and return the name of the role."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    try:
        answer = onward.send(pool.aws, f"/?{query}", raw, b"")
    except (OSError, http.client.HTTPException) as error:
        words = f"AWS could not be asked: {type(error).__name__}."
        raise BadToken(503, "temporarily_unavailable", words) from error
    except ValueError:
        raise _invalid("A header of the request is not one.") from None
    text = answer.body.decode("utf-8", "replace")
    if answer.status != 200:
        code = re.search(r"<Code>(\w+)</Code>", text)
        raise _invalid(f"AWS refused the signature: {code[1] if code else answer.status}.")
    arn = _ARN.search(text)
    role = _ROLE.fullmatch(arn[1]) if arn else None
    if not role:
        who = arn[1] if arn else "nobody"
        words = f"permission denied: {who} is not an assumed role."
        raise BadToken(401, "unauthorized_client", words)
    return role[1]


def _generate(pool: Pool, request: Request, body: bytes) -> dict[str, str]:
    caller = pool.tokens.check(request, _IAM, impersonated=False)
    if request.path_params["email"] != pool.account:
        words = (
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not"
            f" exist) for the role {caller.principal}."
        )
        raise Refused(403, words, "forbidden")
    try:
        wanted = json.loads(body)
        scopes, lifetime = wanted["scope"], wanted.get("lifetime", f"{LIFETIME}s")
        if not isinstance(scopes, list) or not all(str(s).startswith(_SCOPE) for s in scopes):
            raise Refused(400, "Invalid value at 'scope'.")
        seconds = int(lifetime[:-1]) if re.fullmatch(r"[0-9]{1,5}s", lifetime) else 0
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise Refused(400, "The body must be JSON with 'scope' and 'lifetime'.") from None
    if not scopes or not 0 < seconds <= LIFETIME:
        raise Refused(400, "'scope' must not be empty, and 'lifetime' from 1s to 3600s.")
    token = pool.tokens.give(pool.account, frozenset(scopes), impersonated=True, seconds=seconds)
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"accessToken": token, "expireTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"}


def _invalid(words: str) -> BadToken:
    return BadToken(400, "invalid_grant", words)
