"""Twilio's REST API of 2010-04-01, the part that makes calls, as strict as its documentation says.

Played: POST and GET of Calls.json, GET and POST (Status alone) of Calls/CA….json; the calls
themselves are the switchboard's. Parameters that Twilio knows and that change nothing here (Record,
MachineDetection …) are ignored, as unknown ones are.

Faults can be aimed: `twilio-calls` meets the making of calls, `twilio-lookup` the list and the
fetch, `twilio` all else. With `delay` and `handled` a call is made, and its maker does not know.

What the documentation does not say, and is a guess here: most words of the errors, and the codes
21200 and 20001 where there is no code of its own; that a call not dialled yet is found by the time
at which it was made; that a date alone after `StartTime<` means its beginning; that more than 1,000
a page are 1,000; that a call which has ended cannot be ended (21220). Not played: API keys, other
callers than the account's numbers, redirecting or deleting a call, calls to SIP and clients, queues
(more calls a second than allowed are refused, where SANDBOX_TWILIO_CALLS_PER_SECOND is set).
"""

import base64
import binascii
import hmac
import math
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import calls
from sandbox.calls import Call, Order
from sandbox.service import Service, setting
from sandbox.switchboard import E164, Switchboard, rfc2822
from sandbox.twiml import Method
from sandbox.webhook import is_address

_CALLS = f"/{calls.API_VERSION}/Accounts/{{account}}/Calls"
_ERRORS = "https://www.twilio.com/docs/errors"
_WORDS = {
    401: (20003, "Authenticate"),
    403: (20403, "Forbidden"),
    404: (20404, "The requested resource was not found"),
    405: (20004, "Method not allowed"),
    429: (20429, "Too Many Requests"),
    500: (20500, "Internal Server Error"),
    503: (20503, "Service Unavailable"),
}
_INLINE = 4000  # characters of TwiML in a parameter
_PAGE, _LARGEST_PAGE = 50, 1000
_STATUSES = {
    *("queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")
}

Act = Callable[["Twilio", Request], Awaitable[Response]]


class Refused(Exception):
    """A request that Twilio would refuse: (HTTP status, code, message)."""


@dataclass(frozen=True)
class Twilio:
    """The state and settings of the played Twilio. `per_second` None: any number of calls."""

    switchboard: Switchboard
    numbers: frozenset[str]
    per_second: int | None
    made: deque[float] = field(default_factory=deque)  # when, by the switchboard's clock


def play(switchboard: Switchboard, environ: Mapping[str, str]) -> list[Service]:
    """Make the services of the environment.

    SANDBOX_TWILIO_NUMBERS: the numbers of the account, comma separated, E.164;
    SANDBOX_TWILIO_CALLS_PER_SECOND: how many calls may be made in a second, by default any. The
    account itself is the switchboard's.
    """
    twilio = Twilio(
        switchboard=switchboard,
        numbers=frozenset(
            number.strip() for number in setting(environ, "SANDBOX_TWILIO_NUMBERS").split(",")
        ),
        per_second=int(environ.get("SANDBOX_TWILIO_CALLS_PER_SECOND") or 0) or None,
    )

    def route(path: str, methods: list[str], act: Act) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _authenticate(twilio, request)
                return await act(twilio, request)
            except Refused as refused:
                return _error(*refused.args)

        return Route(path, endpoint, methods=methods)

    anything = ["GET", "POST", "PUT", "DELETE"]
    return [
        Service("twilio-calls", [route(f"{_CALLS}.json", ["POST"], _make)], refuse),
        Service(
            "twilio-lookup",
            [
                route(f"{_CALLS}.json", ["GET"], _list),
                route(f"{_CALLS}/{{sid}}.json", ["GET"], _fetch),
            ],
            refuse,
        ),
        Service(
            "twilio",
            [
                route(f"{_CALLS}/{{sid}}.json", ["POST"], _update),
                route(f"{_CALLS}.json", anything, _not_allowed),
                route(f"{_CALLS}/{{sid}}.json", anything, _not_allowed),
                route(f"/{calls.API_VERSION}/{{rest:path}}", anything, _nothing),
            ],
            refuse,
        ),
    ]


def refuse(_: Request, status: int, message: str | None) -> Response:
    """Answer an error in Twilio's shape, `{"code", "message", "more_info", "status"}`."""
    code, words = _WORDS.get(status, (20000 + status, "The request failed"))
    return _error(status, code, message or words)


def read_order(form: list[tuple[str, str]], numbers: frozenset[str]) -> Order:
    """Read the form of a call to make; an empty field counts as none.

    Raises Refused (400) for the first parameter that is missing or wrong.
    """
    given = {name: value for name, value in form if value}
    to, caller = given.get("To", ""), given.get("From", "")
    if not to:
        raise Refused(400, 21201, "No 'To' number is specified")
    if not caller:
        raise Refused(400, 21213, "No 'From' number is specified")
    if not E164.fullmatch(to):
        raise Refused(
            400, 21211, f"The phone number you are attempting to call, {to}, is not valid."
        )
    if not E164.fullmatch(caller):
        raise Refused(400, 21212, f"The phone number you are calling from, {caller}, is not valid.")
    if caller not in numbers:
        raise Refused(
            400,
            21210,
            f"The source phone number provided, {caller}, is not yet verified for your account. You"
            " may only make calls from phone numbers that you've verified or purchased from"
            " Twilio.",
        )
    url, twiml = given.get("Url"), given.get("Twiml")
    if not url and not twiml:
        raise Refused(400, 21205, "Url parameter is required.")
    if url and not is_address(url):
        raise Refused(400, 21205, f"Url is not a valid URL: {url}")
    if twiml and len(twiml) > _INLINE:
        raise Refused(400, 21200, f"Twiml: at most {_INLINE} characters")
    callback = given.get("StatusCallback")
    if callback and not is_address(callback):
        raise Refused(400, 21609, f"StatusCallback is not a valid URL: {callback}")
    return Order(
        to=to,
        caller=caller,
        url=url,
        method=_method(given, "Method"),
        twiml=None if url else twiml,  # the Url wins, as documented
        callback=callback,
        callback_method=_method(given, "StatusCallbackMethod"),
        events=_events([value for name, value in form if name == "StatusCallbackEvent"]),
        timeout=_seconds(given, "Timeout", 60, 600, 21208),
        time_limit=_seconds(given, "TimeLimit", 14400, 86400, 21200),
    )


def shown(call: Call, account_sid: str) -> dict[str, Any]:
    """Return a call as the API shows it."""
    uri = f"/{calls.API_VERSION}/Accounts/{account_sid}/Calls/{call.sid}"
    parts = ("notifications", "recordings", "payments", "events", "siprec", "streams")
    return {
        "sid": call.sid,
        "date_created": _date(call.created),
        "date_updated": _date(call.updated),
        "parent_call_sid": None,
        "account_sid": account_sid,
        "to": call.order.to,
        "to_formatted": call.order.to,
        "from": call.order.caller,
        "from_formatted": call.order.caller,
        "phone_number_sid": None,
        "status": call.status,
        "start_time": _date(call.started),
        "end_time": _date(call.ended),
        "duration": None if call.ended is None else str(call.duration),
        "price": None,
        "price_unit": "USD",
        "direction": "outbound-api",
        "answered_by": None,
        "annotation": None,
        "api_version": calls.API_VERSION,
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": "0",
        "trunk_sid": None,
        "uri": f"{uri}.json",
        "subresource_uris": {part: f"{uri}/{part.title()}.json" for part in parts},
    }


async def _make(twilio: Twilio, request: Request) -> Response:
    _limit(twilio)
    order = read_order(await _form(request), twilio.numbers)
    call = twilio.switchboard.dial(order)
    return JSONResponse(_shown(twilio, call), status_code=201)


async def _fetch(twilio: Twilio, request: Request) -> Response:
    return JSONResponse(_shown(twilio, _known(twilio, request)))


async def _update(twilio: Twilio, request: Request) -> Response:
    call = _known(twilio, request)
    given = {name: value for name, value in await _form(request) if value}
    status = given.get("Status")
    if status not in ("completed", "canceled"):
        raise Refused(400, 20001, "Status takes completed or canceled; nothing else is played here")
    if call.ended is not None:
        raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
    if call.status != "in-progress":
        twilio.switchboard.end(call, "canceled")
    elif status == "completed":
        twilio.switchboard.end(call, "completed")
    return JSONResponse(_shown(twilio, call))


async def _list(twilio: Twilio, request: Request) -> Response:
    query = dict(request.query_params)
    fits = _filters(query)
    found = [call for call in reversed(twilio.switchboard.calls.values()) if fits(call)]
    size = min(_number(query, "PageSize", _PAGE), _LARGEST_PAGE)
    page = _number(query, "Page", 0)
    token = query.get("PageToken", "").removeprefix("PA")
    start = next((i + 1 for i, call in enumerate(found) if call.sid == token), 0)
    here = found[start : start + size]

    def uri(**more: str) -> str:
        kept = {k: v for k, v in query.items() if k not in ("Page", "PageSize", "PageToken")}
        asked = {**kept, "PageSize": str(size), **more}
        return f"{request.url.path}?{urlencode(asked)}"

    more = start + size < len(found)
    return JSONResponse(
        {
            "calls": [_shown(twilio, call) for call in here],
            "page": page,
            "page_size": size,
            "start": start,
            "end": max(start, start + len(here) - 1),
            "uri": uri(Page=str(page)),
            "first_page_uri": uri(Page="0"),
            "previous_page_uri": None,
            "next_page_uri": uri(Page=str(page + 1), PageToken=f"PA{here[-1].sid}")
            if more
            else None,
        }
    )


async def _not_allowed(_: Twilio, request: Request) -> Response:
    raise Refused(405, 20004, f"{request.method} is not allowed, or not played here")


async def _nothing(_: Twilio, request: Request) -> Response:
    raise _not_found(request)


def _authenticate(twilio: Twilio, request: Request) -> None:
    """Check the credentials, then whose account the path names."""
    account = twilio.switchboard.account
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        raise Refused(401, 20003, "Authentication Error - No credentials provided")
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = password = ""
    if user != account.sid:
        raise Refused(401, 20003, "Authentication Error - invalid username")
    if not hmac.compare_digest(password.encode(), account.auth_token.encode()):
        raise Refused(401, 20003, "Authenticate")
    if request.path_params.get("account", account.sid) != account.sid:
        raise _not_found(request)


def _limit(twilio: Twilio) -> None:
    """Count a call; refuse it where the last second has had as many as a second may."""
    if twilio.per_second is None:
        return
    now = twilio.switchboard.clock.now()
    while twilio.made and twilio.made[0] <= now - 1:
        twilio.made.popleft()
    if len(twilio.made) >= twilio.per_second:
        raise Refused(429, *_WORDS[429])
    twilio.made.append(now)


async def _form(request: Request) -> list[tuple[str, str]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded":
        return []
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def _known(twilio: Twilio, request: Request) -> Call:
    call = twilio.switchboard.calls.get(request.path_params["sid"])
    if call is None:
        raise _not_found(request)
    return call


def _method(given: Mapping[str, str], name: str) -> Method:
    match given.get(name, "POST"):
        case "POST":
            return "POST"
        case "GET":
            return "GET"
        case other:
            raise Refused(400, 21200, f"{name} takes GET or POST, got {other}")


def _events(given: list[str]) -> frozenset[str]:
    names = [name for text in given for name in text.split()]
    for name in names:
        if name not in calls.EVENTS:
            raise Refused(400, 21626, f"Invalid 'StatusCallbackEvent': {name}")
    return frozenset(names) or frozenset(("completed",))


def _seconds(given: Mapping[str, str], name: str, default: int, most: int, code: int) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise Refused(400, code, f"Invalid {name}: takes 1 to {most}, got {text}")
    return int(text)


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,6}", text) or (name == "PageSize" and int(text) < 1):
        raise Refused(400, 20001, f"Invalid {name}: {text}")
    return int(text)


def _filters(query: Mapping[str, str]) -> Callable[[Call], bool]:
    """Return what tells whether a call is one of those asked for."""
    status = query.get("Status")
    if status and status not in _STATUSES:
        raise Refused(400, 20001, f"Invalid Status: {status}")
    least, most = -math.inf, math.inf
    for name, value in query.items():
        if value and name in ("StartTime", "StartTime>", "StartTime<"):
            first, last = _span(name, value)
            least = max(least, first if name != "StartTime<" else least)
            most = min(most, {"StartTime": last, "StartTime<": first, "StartTime>": math.inf}[name])

    def fits(call: Call) -> bool:
        return (
            query.get("To") in (None, "", call.order.to)
            and query.get("From") in (None, "", call.order.caller)
            and status in (None, "", call.status)
            and least <= int(call.started or call.created) <= most
        )

    return fits


def _span(name: str, text: str) -> tuple[int, int]:
    """Return the first and the last second of a day, or of a time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, 20001, f"Invalid {name}: {text}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    length = timedelta(days=1) if len(text) == len("2026-11-22") else timedelta(seconds=1)
    return int(at.timestamp()), int((at + length).timestamp()) - 1


def _shown(twilio: Twilio, call: Call) -> dict[str, Any]:
    return shown(call, twilio.switchboard.account.sid)


def _date(at: float | None) -> str | None:
    return None if at is None else rfc2822(at)


def _not_found(request: Request) -> Refused:
    return Refused(404, 20404, f"The requested resource {request.url.path} was not found")


def _error(status: int, code: int, message: str) -> Response:
    body = {
        "code": code,
        "message": message,
        "more_info": f"{_ERRORS}/{code}",
        "status": status,
    }
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if status == 401 else {}
    return JSONResponse(body, status_code=status, headers=headers)
