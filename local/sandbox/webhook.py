"""Twilio's webhooks: a signed request to the address somebody gave, and its answer."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import h11

_LARGEST = 1024 * 1024  # bytes of an answer


class WebhookFailed(Exception):
    """There was no answer: why, in words."""


@dataclass(frozen=True)
class Answer:
    """What a webhook answered."""

    status: int
    content_type: str
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


def signature(auth_token: str, url: str, parameters: Mapping[str, str]) -> str:
    """Return the X-Twilio-Signature of a request: the exact address, then the sorted parameters.

    Source: twilio.com/docs/usage/security.
    """
    text = url + "".join(name + value for name, value in sorted(parameters.items()))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_address(url: str) -> bool:
    """Whether something is an address that a webhook can go to."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


def new_token() -> str:
    """Return what the tries of one webhook have in common (I-Twilio-Idempotency-Token)."""
    return secrets.token_hex(16)


async def send(
    auth_token: str, method: str, url: str, parameters: Mapping[str, str], token: str
) -> Answer:
    """Send the parameters: as a form, or with GET in the query; WebhookFailed without an answer.

    It waits as long as it takes: the caller cuts it off.
    """
    url = url.partition("#")[0]
    if method == "GET":
        url += ("&" if urlsplit(url).query else "?") + urlencode(parameters)
    parts = urlsplit(url)
    host = parts.hostname or ""
    body = b"" if method == "GET" else urlencode(parameters).encode()
    signed = signature(auth_token, url, {} if method == "GET" else parameters)
    request = h11.Request(
        method=method,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=[
            ("Host", parts.netloc.rpartition("@")[2]),
            ("User-Agent", "TwilioProxy/1.1"),
            ("Accept", "*/*"),
            ("X-Twilio-Signature", signed),
            ("I-Twilio-Idempotency-Token", token),
            *_form(method, body),
            ("Connection", "close"),
        ],
    )
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=secure)
    except OSError as error:
        raise WebhookFailed(f"no connection: {error.strerror or error}") from None
    try:
        return await _exchange(reader, writer, request, body)
    except (OSError, h11.ProtocolError) as error:
        raise WebhookFailed(f"the connection broke: {error}") from None
    finally:
        writer.close()


def _form(method: str, body: bytes) -> list[tuple[str, str]]:
    if method == "GET":
        return []
    kind = "application/x-www-form-urlencoded; charset=UTF-8"
    return [("Content-Type", kind), ("Content-Length", str(len(body)))]


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
) -> Answer:
    connection = h11.Connection(h11.CLIENT)
    for part in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    status, kind, received = 0, "", bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            kind = dict(event.headers).get(b"content-type", b"").decode("latin-1")
        elif isinstance(event, h11.Data):
            received += event.data
            if len(received) > _LARGEST:
                raise WebhookFailed(f"the answer is longer than {_LARGEST} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, kind, bytes(received))
        elif isinstance(event, h11.ConnectionClosed):
            raise WebhookFailed("the connection was closed without an answer")
