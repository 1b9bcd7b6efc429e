"""The first page: phones that ring, what the functions sent, and how they ran, for people.

Beside the channels there is the estate, where it has schedules: what is on and what is off; and
BigQuery, once it has a table: the tables, a chart of each over its days, and the last loads.

Every channel may have a template of its own, `templates/channels/<channel>.html`, with the macro
`item(item)`, and, where wanted, `head(page)` (what stands above its items) and `fold` (whether
items in a row are folded into one on the page of all). Others are shown plainly.

The page's script asks for the page again, with its ETag, and puts in what has changed. The phones
are answered by the switchboard's own routes.
"""

import asyncio
import hashlib
import itertools
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox import estate, fonts, mail, runs
from sandbox.bigquery_jobs import Jobs
from sandbox.bigquery_view import View, viewer
from sandbox.charts import TOKYO, Chart, draw
from sandbox.estate import Estate
from sandbox.inbox import Inbox, Item, bad_field
from sandbox.runs import Seen, newest_failures
from sandbox.service import setting
from sandbox.switchboard import Phone, Switchboard
from sandbox.watch import Watch

_HERE = Path(__file__).parent
_ITEMS = 100  # a channel; older ones are a link away
_POSTS = 500  # posts to Mackerel whose points are drawn
_BODY = 2000  # characters; the rest is one link away, and the page stays light
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_LINK = re.compile(r"<((?:https?://|mailto:)[^|>\s]+)(?:\|([^>\n]*))?>")
_BOLD = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])")
# A mail's frame is of no origin.
_FONT_HEADERS = {"Cache-Control": "max-age=86400", "Access-Control-Allow-Origin": "*"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes(
    inbox: Inbox, environ: Mapping[str, str], switchboard: Switchboard, jobs: Jobs
) -> list[BaseRoute]:
    """Return `GET /?channel=&before=`, `/estate`, `/bigquery`, and their parts under `/static`.

    `before` is an item's id: the page of those before it. SANDBOX_AWS_ENDPOINT is where the
    functions' logs are read, and the estate is asked for.
    """
    aws = setting(environ, "SANDBOX_AWS_ENDPOINT")
    functions, schedules, sleepers = runs.watch(aws), estate.watch_rules(aws), estate.watch(aws)
    templates = _templates()
    charts = _newest_charts(inbox)
    logging.getLogger("uvicorn.access").addFilter(_news)

    def around(seen: Seen, phones: Sequence[Phone], tag: str) -> dict[str, Any]:
        counts = inbox.counts()
        return {
            "tag": tag,
            "chosen": None,
            "before": None,
            "counts": counts,
            "total": sum(counts.values()),
            "sleeps": bool(schedules.known.rules),
            "loads": jobs.warehouse.version > 0 or "bigquery" in counts,
            "phones": phones,
            "ringing": [each for each in phones if each.call and each.call.status == "ringing"],
            "seen": seen,
            "failures": newest_failures(seen),
        }

    def render(view: dict[str, Any], chosen: str | None, before: int | None) -> str:
        channels = [chosen] if chosen else list(view["counts"])
        items = [
            item
            for channel in channels
            for item in inbox.items(channel=channel, before=before, limit=_ITEMS)
        ]
        items.sort(key=lambda item: item.id, reverse=True)
        older = None
        if chosen and items and inbox.items(channel=chosen, before=items[-1].id, limit=1):
            older = "/?" + urlencode({"channel": chosen, "before": items[-1].id})
        shown = charts() if not before and chosen in (None, "mackerel") else []
        view |= {
            "chosen": chosen,
            "before": before,
            "older": older,
            "most": _ITEMS,
            "groups": _groups(items, templates, fold=not chosen),
            "charts": shown,
            "several": len({chart.service for chart in shown}) > 1,
        }
        part = _part(templates, chosen) if chosen and not before else None
        head = getattr(part, "head", None)
        return templates.get_template("inbox.html").render(view, head=head(view) if head else None)

    async def page(request: Request) -> Response:
        chosen = request.query_params.get("channel") or None
        given = request.query_params.get("before")
        if given is not None and not re.fullmatch(r"[0-9]{1,18}", given):
            return bad_field("before", "an item's id", given)
        await asyncio.gather(functions.latest(), schedules.latest())
        before = int(given) if given else None
        return await answer(request, None, lambda view: render(view, chosen, before))

    async def estate_page(request: Request) -> Response:
        asked: list[Awaitable[object]] = [functions.latest(), schedules.latest()]
        if "x-hidden" not in request.headers:  # nobody sees it: not worth a run of the function
            asked.append(sleepers.latest())
        await asyncio.gather(*asked)
        known, template = sleepers.known, templates.get_template("estate.html")
        return await answer(request, known, lambda view: template.render(view, estate=known))

    async def answer(
        request: Request, known: Estate | View | None, render: Callable[[dict[str, Any]], str]
    ) -> Response:
        # Taken here and not in the thread that renders, beside the calls.
        seen, phones = functions.known, switchboard.phones()
        tag = _tag(
            inbox.counts(),
            inbox.items(limit=1),
            seen,
            len(newest_failures(seen)),
            switchboard.version,
            bool(schedules.known.rules),
            jobs.warehouse.version > 0,
            known,
        )
        headers = {**_HEADERS, "ETag": f'"{tag}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        html = await run_in_threadpool(lambda: render(around(seen, phones, tag)))
        return HTMLResponse(html, headers=headers)

    return [
        Route("/", page, methods=["GET"]),
        Route("/estate", estate_page, methods=["GET"]),
        Route("/bigquery", _tables_page(viewer(jobs), templates, functions, answer)),
        _font_route(),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]


def _font_route() -> Route:
    path = fonts.japanese()

    async def font(_: Request) -> Response:
        return FileResponse(path, media_type="font/ttf", headers=_FONT_HEADERS)

    return Route("/static/japanese.ttf", font, methods=["GET"])


def _tables_page(
    view: Callable[[], View],
    templates: Environment,
    functions: Watch[Seen],
    answer: Callable[..., Any],
) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        await functions.latest()
        known = await run_in_threadpool(view)
        template = templates.get_template("bigquery.html")
        response: Response = await answer(
            request, known, lambda around: template.render(around, bigquery=known)
        )
        return response

    return page


def mrkdwn(text: str) -> Markup:
    """Make HTML of Slack's mrkdwn: *bold* and escapes; a link stays text, with its address."""

    def link(match: re.Match[str]) -> str:
        address, label = match.groups()
        return f"{label} ({address})" if label and label != address else str(address)

    plain = _LINK.sub(link, text)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        plain = plain.replace(entity, character)
    return Markup(_BOLD.sub(r"<b>\1</b>", str(escape(plain))))  # noqa: S704 (escaped)


def picture(file: object) -> str | None:
    """Return the path of a posted file on this server where it is a picture, else None."""
    match file:
        case {"mimetype": str(kind), "url": str(url)} if kind.startswith("image/"):
            path = urlsplit(url).path
            return path if path.startswith("/files/") else None
    return None


def _newest_charts(inbox: Inbox) -> Callable[[], list[Chart]]:
    """Return a function that draws what was posted to Mackerel, once for each news."""
    drawn: dict[int, list[Chart]] = {}

    def charts() -> list[Chart]:
        posts = inbox.items(channel="mackerel", limit=_POSTS)
        newest = posts[-1].id if posts else 0
        if newest not in drawn:
            drawn.clear()
            drawn[newest] = draw((post.body for post in posts), time.time())
        return drawn[newest]

    return charts


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assets = sorted((_HERE / "static").iterdir())
    templates.globals["assets"] = _digest([path.read_text() for path in assets])
    filters: dict[str, Callable[..., Any]] = {
        "clock": lambda at: _tokyo(at).strftime("%H:%M:%S"),
        "day": lambda at: _tokyo(at).strftime("%m-%d"),
        "epoch": lambda text: datetime.fromisoformat(text).timestamp(),
        "height": mail.height,
        "linked": mail.linked,
        "minute": lambda at: _tokyo(at).strftime("%a %m-%d %H:%M"),
        "stamp": lambda at: _tokyo(at).isoformat(timespec="seconds"),
        "mrkdwn": mrkdwn,
        "picture": picture,
        "short": lambda name: re.sub(r"^mimamori-[a-z]+-", "", name),
    }
    templates.filters.update(filters)
    return templates


def _part(templates: Environment, channel: str) -> Any:
    """Return the macros that show a channel's items."""
    own = [f"channels/{channel}.html"] if _NAME.fullmatch(channel) else []
    return templates.select_template([*own, "channels/plain.html"]).module


def _groups(items: Iterable[Item], templates: Environment, *, fold: bool) -> list[dict[str, Any]]:
    """Gather items of one channel in a row, for those that are folded; others stand alone.

    A group is named after the item below it, so that it keeps its name while it grows.
    """
    parts: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for channel, row in itertools.groupby(items, key=lambda item: item.channel):
        part = parts.setdefault(channel, _part(templates, channel))
        shown = [_shown(item) for item in row]
        together = fold and getattr(part, "fold", False) and len(shown) > 1
        for chunk in [shown] if together else [[one] for one in shown]:
            if groups:
                groups[-1]["below"] = chunk[0]["id"]
            groups.append({"channel": channel, "part": part, "items": chunk, "below": 0})
    return groups


def _shown(item: Item) -> dict[str, Any]:
    body = json.dumps(item.body, ensure_ascii=False, indent=2)
    return {
        "id": item.id,
        "channel": item.channel,
        "summary": item.summary,
        "at": datetime.fromisoformat(item.received_at).timestamp(),
        "body": item.body if isinstance(item.body, dict) else {},
        "raw": body[:_BODY],
        "cut": len(body) > _BODY,
    }


def _tag(*parts: object) -> str:
    return _digest([repr(part) for part in parts])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:16]


def _tokyo(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(TOKYO)


def _news(record: logging.LogRecord) -> bool:
    """Keep the page's questions for news, where there are none, out of the access log."""
    args = record.args
    return not (isinstance(args, tuple) and len(args) == 5 and args[4] == 304)
