"""The way on to the laptop's AWS: what the fronts before it share.

A request goes on as it came, Host header included, so that the caller's signature holds and is
judged there. What a front wants to know itself it asks with the laptop's root key.
"""

import http.client
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.requests import Request
from starlette.responses import Response

ROOT_KEY = "test"
_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([a-z0-9-]+)/")
_TIMEOUT = 60  # seconds
# Of one connection only, or written anew here.
_HOP = {
    b"connection", b"content-length", b"date", b"expect", b"keep-alive", b"proxy-connection",
    b"server", b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came, framing headers apart."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


def pass_on(endpoint: str, request: Request, body: bytes) -> Answer:
    """Send a request with its body to the AWS at `endpoint`; raises what `send` does."""
    return send(endpoint, _target(request), request.headers.raw, body)


def ask(  # noqa: PLR0913 (what a request is made of)
    endpoint: str,
    service: str,
    region: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: str = ROOT_KEY,
) -> Answer:
    """POST a question of the sandbox's own, with the root key; raises what `send` does.

    `service` as signatures name it. `key`: an account's id is the root key of that account.
    """
    request = AWSRequest("POST", f"{endpoint.rstrip('/')}/", headers=dict(headers), data=body)
    request.headers["Host"] = urlsplit(endpoint).netloc
    SigV4Auth(Credentials(key, "test"), service, region).add_auth(request)
    raw = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    return send(endpoint, "/", raw, body)


def send(endpoint: str, target: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Answer:
    """POST a request as it is given, Host header included, and return the answer as it comes.

    Raises OSError or http.client.HTTPException where there is none within 60 s.
    """
    url = urlsplit(endpoint)
    secure = url.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(url.hostname or "", url.port, timeout=_TIMEOUT)
    try:
        connection.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() not in _HOP:
                connection.putheader(name.decode("latin-1"), value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        received = [
            (n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in response.getheaders()
        ]
        kept = [(name, value) for name, value in received if name not in _HOP]
        return Answer(response.status, kept, response.read())
    finally:
        connection.close()


def respond(answer: Answer) -> Response:
    """Give an answer to the caller as it came."""
    response = Response(answer.body, status_code=answer.status)
    response.raw_headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    return response


def signed(request: Request) -> bool:
    """Tell whether a request has a signature, good or not."""
    authorization = request.headers.get("authorization", "")
    return authorization.startswith("AWS4-") or "X-Amz-Signature" in request.query_params


def access_key(request: Request) -> str:
    """Return the key that a request says it is signed with, or ""."""
    match = _SCOPE.search(request.headers.get("authorization", ""))
    return match[1] if match else ""


def region(request: Request) -> str:
    """Return the region that a request is signed for."""
    match = _SCOPE.search(request.headers.get("authorization", ""))
    return match[2] if match else "us-east-1"


def _target(request: Request) -> str:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")
