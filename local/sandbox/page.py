"""The first page: the inbox for people, newest first."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.inbox import Inbox, Item

_TOKYO = timezone(timedelta(hours=9))  # no summer time: needs no zone database
_ITEMS = 1000
_BODY = 2000  # characters; the rest is one link away, and the page stays light
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def routes(inbox: Inbox) -> list[Route]:
    """Return `GET /`, and `GET /?channel=` for one channel alone."""

    async def page(request: Request) -> Response:
        chosen = request.query_params.get("channel") or None
        counts = inbox.counts()
        items = inbox.items(channel=chosen, limit=_ITEMS)
        html = _TEMPLATES.get_template("inbox.html").render(
            items=[_shown(item) for item in reversed(items)],
            counts=counts,
            chosen=chosen,
            total=sum(counts.values()),
            matching=counts.get(chosen, 0) if chosen else sum(counts.values()),
        )
        return HTMLResponse(html, headers=_HEADERS)

    return [Route("/", page, methods=["GET"])]


def _shown(item: Item) -> dict[str, object]:
    received = datetime.fromisoformat(item.received_at)
    tokyo = received.astimezone(_TOKYO)
    body = json.dumps(item.body, ensure_ascii=False, indent=2)
    return {
        "id": item.id,
        "channel": item.channel,
        "summary": item.summary,
        "stamp": tokyo.isoformat(timespec="seconds"),
        "day": f"{tokyo:%m-%d}",
        "time": f"{tokyo:%H:%M:%S}",
        "body": body[:_BODY],
        "cut": len(body) > _BODY,
    }
