"""Faults on demand: the next requests to a service are refused, or kept waiting, or both.

They wait in memory, in the order given, one queue a service; a restart forgets them. Every route of
a service meets them, before the service itself looks at the request.

A delayed request is handled, as usual, only if the client is still there when the delay is over: a
client that gave up was never heard, and nothing of it lands in the inbox. One that gives up later,
while the request is being handled, was heard. With `handled`, the request is handled first and its
answer kept waiting: a client that gives up was heard, and does not know it.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.inbox import bad_field
from sandbox.service import Service

_FIELDS = ("service", "status", "message", "headers", "delay", "handled", "times")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")
_FRAMING = ("content-length", "content-type", "transfer-encoding", "connection")


@dataclass(frozen=True)
class Fault:
    """What the next `times` requests to a service meet.

    `delay` is in seconds. Without a `status` the request is then handled; with one it is refused
    in the service's own shape, with `message` and `headers` if given. `handled`: the delay comes
    after the handling.
    """

    service: str
    times: int = 1
    status: int | None = None
    delay: float | None = None
    handled: bool | None = None
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


class BadFault(ValueError):
    """A field of a fault is wrong: (field, what it takes, what it got)."""


def read_fault(data: object, services: Sequence[Service]) -> Fault:
    """Make a fault of decoded JSON, strictly; `services` are those there are.

    Raises BadFault for the first field that is unknown, missing or wrong.
    """
    if not isinstance(data, dict):
        raise BadFault("body", "a JSON object", data)
    for name in data:
        if name not in _FIELDS:
            raise BadFault(name, f"nothing: there is {', '.join(_FIELDS)}", data[name])
    names = [service.name for service in services]
    with_200 = [service.name for service in services if service.refuses_with_200]
    takes_200 = data.get("service") in with_200
    checks: dict[str, tuple[str, Callable[[Any], object]]] = {
        "service": (f"one of {', '.join(names)}", lambda v: v in names),
        "times": ("a whole number from 1 to 1000", lambda v: _whole(v, 1, 1000)),
        "status": (
            f"{'200 or ' if takes_200 else ''}an HTTP status from 400 to 599",
            lambda v: _whole(v, 400, 599) or (takes_200 and _whole(v, 200, 200)),
        ),
        "delay": ("seconds, more than 0 and at most 300", _seconds),
        "handled": ("true", lambda v: v is True),
        "message": ("text", lambda v: isinstance(v, str) and v.isprintable()),
        "headers": ("an object of header names and texts", _headers),
    }
    for name, (takes, fits) in checks.items():
        if name in data and not fits(data[name]):
            raise BadFault(name, takes, data[name])
    if "service" not in data:
        raise BadFault("service", checks["service"][0], None)
    if "status" not in data and "delay" not in data:
        raise BadFault("status", f"{checks['status'][0]} (or give a delay)", None)
    _check_together(data)
    return Fault(**data)


def _check_together(data: dict[str, Any]) -> None:
    for name in ("message", "headers"):
        if name in data and "status" not in data:
            raise BadFault(name, "nothing without a status", data[name])
    if "handled" in data and "status" in data:
        raise BadFault("handled", "nothing beside a status", data["handled"])


class Faults:
    """The faults still pending, oldest first."""

    def __init__(self) -> None:
        """Start with none."""
        self.pending: list[Fault] = []

    def take(self, service: str) -> Fault | None:
        """Return the fault that a request to this service meets, and count it off."""
        for index, fault in enumerate(self.pending):
            if fault.service == service:
                left = replace(fault, times=fault.times - 1)
                self.pending[index : index + 1] = [left] if left.times else []
                return fault
        return None


class Gate:
    """ASGI middleware through which every request goes, and where it meets its fault."""

    def __init__(self, app: ASGIApp, services: Sequence[Service], faults: Faults) -> None:
        """Stand before `app`, for the routes of these services."""
        self.app = app
        self.services = services
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, keep waiting, or let through."""
        service = self._service(scope)
        fault = self.faults.take(service.name) if service else None
        if service and fault:
            if fault.handled and fault.delay is not None:
                send = _late(send, fault.delay)
            elif fault.delay is not None:
                request_body = await _read(receive)
                if request_body is None or await _gone(receive, fault.delay):
                    return
                receive = _again(request_body, receive)
            if fault.status is not None:
                response = service.refuse(Request(scope), fault.status, fault.message)
                response.headers.update(fault.headers)
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _service(self, scope: Scope) -> Service | None:
        if scope["type"] != "http":
            return None
        for service in self.services:
            if any(route.matches(scope)[0] is Match.FULL for route in service.routes):
                return service
        return None


def routes(faults: Faults, services: Sequence[Service]) -> list[Route]:
    """Return `/faults`: POST adds one, GET lists the pending ones, DELETE clears them."""

    async def add(request: Request) -> Response:
        body = await request.body()
        try:
            fault = read_fault(json.loads(body.decode()), services)
        except BadFault as error:
            return bad_field(*error.args)
        except (ValueError, RecursionError):
            return bad_field("body", "JSON", body[:80])
        faults.pending.append(fault)
        return JSONResponse(_shown(fault), status_code=201)

    async def listing(_: Request) -> Response:
        return JSONResponse([_shown(fault) for fault in faults.pending])

    async def clear(_: Request) -> Response:
        cleared = len(faults.pending)
        faults.pending.clear()
        return JSONResponse({"cleared": cleared})

    return [
        Route("/faults", add, methods=["POST"]),
        Route("/faults", listing, methods=["GET"]),
        Route("/faults", clear, methods=["DELETE"]),
    ]


def _shown(fault: Fault) -> dict[str, Any]:
    return {name: value for name, value in asdict(fault).items() if value not in (None, {})}


def _whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _seconds(value: Any) -> bool:
    return type(value) in (int, float) and bool(0 < value <= 300)  # NaN is neither


def _headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(text, str)
        and _TOKEN.fullmatch(name)
        and _TEXT.fullmatch(text)
        and name.lower() not in _FRAMING
        for name, text in value.items()
    )


async def _read(receive: Receive) -> bytes | None:
    """Read the whole body; None where the client left meanwhile."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _gone(receive: Receive, delay: float) -> bool:
    """Wait, and tell whether the client left before the time was over."""
    # After the body, the only message there is says that the client is gone.
    try:
        await asyncio.wait_for(receive(), delay)
    except TimeoutError:
        return False
    return True


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was already read, then what follows."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _late(send: Send, delay: float) -> Send:
    """Return a `send` that waits before the answer's first message."""
    waits = [delay]

    async def late(message: Message) -> None:
        if waits:
            await asyncio.sleep(waits.pop())
        await send(message)

    return late
