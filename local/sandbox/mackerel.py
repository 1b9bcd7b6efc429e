"""Mackerel's API for service metrics, as strict as the documentation says (mackerel.io/api-docs).

What it does not say, and is a guess here: the words of the 400s, that unknown keys of a point are
refused, that a body must be called `application/json` (415), and the number of posts a minute.
"""

import hmac
import json
import math
import re
import sqlite3
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.inbox import Inbox, open_database
from sandbox.service import Service, setting

_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_DAY = 24 * 60 * 60
_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    value NUMERIC NOT NULL,
    PRIMARY KEY (service, name, time)
) WITHOUT ROWID;
"""
_WORDS = {
    401: "Authentication failed. Please try with valid Api Key.",
    403: "The API key does not have the required permissions.",
    404: "Resource not found.",
    429: "Too many requests. Please reduce the posting frequency or post several metrics at once.",
    500: "Internal server error.",
    503: "Service temporarily unavailable.",
}


class Refused(Exception):
    """A request that Mackerel would refuse: (status, message)."""


@dataclass(frozen=True)
class Mackerel:
    """The state and settings of the played Mackerel."""

    inbox: Inbox
    points: sqlite3.Connection
    api_key: str
    services: frozenset[str]
    per_minute: int
    posts: deque[float] = field(default_factory=deque)  # when, by the monotonic clock


def play(inbox: Inbox, environ: Mapping[str, str]) -> list[Service]:
    """Make the one service of the environment.

    SANDBOX_MACKEREL_API_KEY; SANDBOX_MACKEREL_SERVICES, comma separated: the services that exist;
    SANDBOX_MACKEREL_PER_MINUTE: posts a minute, default 600; SANDBOX_DIR: where points are kept.
    """
    mackerel = Mackerel(
        inbox=inbox,
        points=open_database(Path(setting(environ, "SANDBOX_DIR")) / "mackerel.sqlite3", _SCHEMA),
        api_key=setting(environ, "SANDBOX_MACKEREL_API_KEY"),
        services=frozenset(
            name.strip() for name in setting(environ, "SANDBOX_MACKEREL_SERVICES").split(",")
        ),
        per_minute=int(environ.get("SANDBOX_MACKEREL_PER_MINUTE") or 600),
    )

    def route(path: str, method: str, act: Any) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _authenticate(mackerel, request)
                return JSONResponse(await act(mackerel, request))
            except Refused as refused:
                return refuse(request, *refused.args)

        return Route(path, endpoint, methods=[method])

    service = "/api/v0/services/{service}"
    return [
        Service(
            name="mackerel",
            routes=[
                route(f"{service}/tsdb", "POST", _post),
                route(f"{service}/metrics", "GET", _metrics),
                route(f"{service}/metric-names", "GET", _metric_names),
                *(
                    route("/api/v0/{rest:path}", method, _nothing)
                    for method in ("GET", "POST", "PUT")
                ),
            ],
            refuse=refuse,
        )
    ]


def refuse(_: Request, status: int, message: str | None) -> Response:
    """Answer an error in Mackerel's shape, `{"error": {"message": …}}`."""
    words = message or _WORDS.get(status, "The request failed.")
    return JSONResponse({"error": {"message": words}}, status_code=status)


def read_points(body: bytes) -> list[dict[str, Any]]:
    """Read a posted body: a JSON list of `{"name", "time", "value"}`.

    Raises Refused (400) naming the first point that is wrong, and how.
    """
    try:
        points = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not valid JSON.") from None
    if not isinstance(points, list):
        raise Refused(400, "The body must be a list of metric values.")
    for index, point in enumerate(points):
        if fault := _wrong(point):
            raise Refused(400, f"Metric value {index}: {fault}.")
    return points


def _wrong(point: object) -> str | None:
    """Say what is wrong with a point, in ASCII; None where nothing is."""
    if not isinstance(point, dict):
        return "not an object"
    if odd := sorted(point.keys() ^ {"name", "time", "value"}):
        return f"{'unknown key' if odd[0] in point else 'missing'} {ascii(odd[0])[:80]}"
    name, at, value = point["name"], point["time"], point["value"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"'name' must match [a-zA-Z0-9._-]+, got {ascii(name)[:80]}"
    if type(at) is not int or not -(2**63) <= at < 2**63:
        return f"'time' must be a whole number of seconds, got {ascii(at)[:80]}"
    if type(value) not in (int, float) or not _finite(value):
        return f"'value' must be a finite number, got {ascii(value)[:80]}"
    return None


def summarise(service: str, kept: list[dict[str, Any]], dropped: list[dict[str, Any]]) -> str:
    """Say in one line what a post brought."""
    parts = []
    if kept:
        first = kept[0]
        more = f" (+{_count(len(kept) - 1, 'more point')})" if len(kept) > 1 else ""
        parts.append(f"{first['name']} {float(first['value']):.10g}{more}")
    if dropped:
        parts.append(f"{_count(len(dropped), 'point')} dropped, older than 24 hours")
    return f"{service}: {'; '.join(parts) or 'no points'}"


async def _post(mackerel: Mackerel, request: Request) -> dict[str, Any]:
    _limit(mackerel)
    service = _known(mackerel, request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/json"):
        raise Refused(415, "Expecting text/json or application/json body.")
    points = read_points(await request.body())
    oldest = time.time() - _DAY
    kept = [point for point in points if point["time"] >= oldest]
    dropped = [point for point in points if point["time"] < oldest]
    mackerel.points.execute("BEGIN")
    mackerel.points.executemany(
        "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)",
        [(service, point["name"], point["time"], float(point["value"])) for point in kept],
    )
    mackerel.points.execute("COMMIT")
    mackerel.inbox.add(
        "mackerel",
        summarise(service, kept, dropped),
        {"service": service, "points": kept, "dropped": dropped},
    )
    return {"success": True}


async def _metrics(mackerel: Mackerel, request: Request) -> dict[str, Any]:
    service = _known(mackerel, request)
    name = request.query_params.get("name")
    if not name:
        raise Refused(400, "'name' is missing.")
    start, end = (_seconds(request, key) for key in ("from", "to"))
    rows = mackerel.points.execute(
        "SELECT time, value FROM points WHERE service = ? AND name = ? ORDER BY time",
        (service, name),
    ).fetchall()
    if not rows:
        raise Refused(404, "Metric not found.")
    return {
        "metrics": [{"time": at, "value": value} for at, value in rows if start <= at <= end],
    }


async def _metric_names(mackerel: Mackerel, request: Request) -> dict[str, Any]:
    service = _known(mackerel, request)
    rows = mackerel.points.execute(
        "SELECT DISTINCT name FROM points WHERE service = ? ORDER BY name", (service,)
    )
    return {"names": [name for (name,) in rows]}


async def _nothing(_: Mackerel, __: Request) -> dict[str, Any]:
    raise Refused(404, _WORDS[404])


def _authenticate(mackerel: Mackerel, request: Request) -> None:
    given = request.headers.get("x-api-key", "")
    if not hmac.compare_digest(given.encode(), mackerel.api_key.encode()):
        raise Refused(401, _WORDS[401])


def _limit(mackerel: Mackerel) -> None:
    """Count a post; refuse it where the last 60 s have had as many as a minute may."""
    now = time.monotonic()
    while mackerel.posts and mackerel.posts[0] <= now - 60:
        mackerel.posts.popleft()
    if len(mackerel.posts) >= mackerel.per_minute:
        raise Refused(429, _WORDS[429])
    mackerel.posts.append(now)


def _known(mackerel: Mackerel, request: Request) -> str:
    service = str(request.path_params["service"])
    if service not in mackerel.services:
        raise Refused(404, "Service not found.")
    return service


def _seconds(request: Request, key: str) -> int:
    text = request.query_params.get(key, "")
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Refused(400, f"'{key}' must be a whole number of seconds.")
    return int(text)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
