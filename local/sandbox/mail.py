"""Mails: whatever the laptop's AWS took to send, put into the inbox, and shown to people.

Nothing is delivered anywhere. The AWS remembers what it was given to send since its own start; the
inbox keeps what it has seen, by message id. A mail of which no sender or receiver is known was sent
raw: of those the AWS does not tell all.

A mail's HTML is a page of its own, for a frame: the inbox page's policy, which a document within
the page (srcdoc) would inherit, forbids the styles that mails are made of.
"""

import asyncio
import contextlib
import http.client
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.inbox import Inbox
from sandbox.service import setting

CHANNEL = "mail"
_SENT = "/_ministack/ses/messages"
_PERIOD = 1.0  # seconds
_PATIENCE = 1.0  # seconds that an answer may take
_SHORTEST, _TALLEST, _LINE = 96, 560, 27  # pixels
_COLUMNS = 60  # Latin characters of a line, more or less
_ADDRESS = re.compile(r"(https?://[^\s<>\"\x7f-\U0010ffff]+(?<![.,:;!?)'\]]))")
_BLOCK = re.compile(r"<(?:p|div|br|tr|li|h[1-6]|hr)\b", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox allow-downloads"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# On paper in a dark room too: a mail's own colours count on it.
_PAPER = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<base target="_blank">
<style>
@font-face { font-family: Japanese; src: local("Hiragino Sans"), local("HiraginoSans-W3"),
    local("Yu Gothic UI"), local("Meiryo"), local("Noto Sans CJK JP"),
    local("NotoSansCJKjp-Regular"), local("Noto Sans JP"), url("/static/japanese.ttf");
  unicode-range: U+203B, U+2460-24FF, U+2E80-30FF, U+3400-4DBF, U+4E00-9FFF, U+FF00-FFEF }
body { margin: 12px; background: #fff; color: #24231f; overflow-wrap: anywhere;
  font: 15px/1.6 Japanese, system-ui, -apple-system, sans-serif }
img { max-width: 100% }
</style>
"""


@dataclass
class Mailbox:
    """The mails that the AWS at `endpoint` sends; `open_mailbox` makes it."""

    inbox: Inbox
    endpoint: str
    known: set[str] = field(default_factory=set)  # message ids

    @contextlib.asynccontextmanager
    async def collecting(self) -> AsyncIterator[None]:
        """Collect about once a second until the block ends."""
        task = asyncio.create_task(self._keep_collecting())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def collect(self) -> None:
        """Put every mail that was sent until now, and is not there yet, into the inbox.

        It takes about a second at most; an AWS that is away is no error, but asked again later.
        """
        try:
            mails = await asyncio.to_thread(_sent, self.endpoint)
        except (OSError, http.client.HTTPException, ValueError):
            return
        # No other task comes between the look and the note, though several may be asking.
        for mail in sorted(mails, key=lambda mail: float(mail["Timestamp"])):
            if mail["MessageId"] not in self.known:
                body = _body(mail)
                self.inbox.add(CHANNEL, f"{', '.join(body['to']) or '?'}: {body['subject']}", body)
                self.known.add(mail["MessageId"])

    async def _keep_collecting(self) -> None:
        while True:
            await self.collect()
            await asyncio.sleep(_PERIOD)


def open_mailbox(inbox: Inbox, environ: Mapping[str, str]) -> Mailbox:
    """Return the mailbox of SANDBOX_AWS_ENDPOINT, which knows the mails that the inbox has."""
    bodies = [item.body for item in inbox.items(channel=CHANNEL)]
    known = {
        body["message_id"] for body in bodies if isinstance(body, dict) and "message_id" in body
    }
    return Mailbox(inbox, setting(environ, "SANDBOX_AWS_ENDPOINT"), known)


def routes(inbox: Inbox) -> list[Route]:
    """Return `GET /mail/<item's id>`: a mail's HTML, with no script, form or remote picture."""

    async def letter(request: Request) -> Response:
        given = request.path_params["id"]
        number = int(given) if re.fullmatch(r"[0-9]{1,18}", given) else 0
        for item in inbox.items(channel=CHANNEL, before=number + 1, limit=1):
            if item.id == number and isinstance(item.body, dict) and item.body.get("html"):
                return HTMLResponse(f"{_PAPER}{item.body['html']}", headers=_HEADERS)
        return PlainTextResponse("there is no such mail, or it has no HTML", status_code=404)

    return [Route("/mail/{id}", letter, methods=["GET"])]


def linked(text: str) -> Markup:
    """Make HTML of a plain text, in which addresses of the web are links.

    An address ends where ASCII does: a Japanese sentence goes on right behind it.
    """
    link = Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>')
    parts = enumerate(_ADDRESS.split(text))
    return Markup().join(link.format(part) if n % 2 else escape(part) for n, part in parts)


def height(html: str) -> int:
    """Guess how tall a mail's HTML is, in pixels: a page cannot look into a frame of strangers."""
    shown = re.split(r"</(?:head|style)>", html, flags=re.IGNORECASE)[-1]
    text = re.sub(r"<[^<>]*>|\s+", "", shown)
    columns = sum(1 if character.isascii() else 2 for character in text)
    lines = len(_BLOCK.findall(shown)) + columns // _COLUMNS
    return min(max(_SHORTEST, _LINE * (lines + 3)), _TALLEST)


def _sent(endpoint: str) -> list[dict[str, Any]]:
    """Return what the AWS sent since its start, of all accounts."""
    url = urlsplit(endpoint)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_PATIENCE)
    try:
        connection.request("GET", _SENT)
        told = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return [mail for mails in told.get("messages", {}).values() for mail in mails]


def _body(mail: Mapping[str, Any]) -> dict[str, Any]:
    sent_at = datetime.fromtimestamp(mail["Timestamp"], UTC)
    return {
        "message_id": mail["MessageId"],
        "from": _readable(mail["Source"]),
        "to": [_readable(address) for address in mail["To"]],
        "cc": [_readable(address) for address in mail["CC"]],
        "bcc": [_readable(address) for address in mail["BCC"]],
        "subject": mail["Subject"],
        "text": mail["BodyText"] or "",
        "html": mail["BodyHtml"] or "",
        "sent_at": sent_at.isoformat(timespec="milliseconds"),
        "type": mail["Type"],
    }


def _readable(address: str) -> str:
    """Return an address with its name as people read it: on its way it is ASCII (RFC 2047)."""
    try:
        return str(make_header(decode_header(address)))
    except (HeaderParseError, LookupError, UnicodeError):
        return address
