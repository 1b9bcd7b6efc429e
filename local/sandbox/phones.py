"""The phones for people and tests: who rings and what is done about it, scripts and the clock.

These routes, under `/twilio`, are the laptop's own: Twilio has nothing like them.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.calls import Step
from sandbox.inbox import bad_field
from sandbox.switchboard import E164, NoSense, Switchboard

_RINGS = ("busy", "no-answer", "fail", "decline", "voicemail")
_DIGITS = re.compile(r"[0-9*#]{1,20}")
_FARTHEST = 7 * 24 * 60 * 60
_SETTLE = 5  # real seconds that a webhook may take while the clock moves

Act = Callable[[Switchboard, Request], Awaitable[Response]]


class BadField(ValueError):
    """A field of a request is wrong: (field, what it takes, what it got)."""


def routes(switchboard: Switchboard) -> list[Route]:
    """Return the routes for people and tests.

    GET `/twilio/phones`: all phones, as `Switchboard.phones`. POST
    `/twilio/phones/{number}/answer|decline|hangup` and `/press` (`{"digits": "1"}`): 204, or 409
    where it makes no sense now.

    POST `/twilio/script`, `{"number", "do": [step, …]}`: what a phone does in its next calls, after
    what it was told before; a step is `{"ring": "busy"}` (or no-answer, fail, decline, voicemail)
    or `{"answer": ["1"], "hang_up": true}`. GET shows what is left, DELETE forgets it.

    POST `/twilio/clock`, `{"advance": seconds}`: moves the clock, and answers when all that fell
    due is done; webhooks have up to `settle` real seconds (default 5) each time.
    """

    def route(path: str, method: str, act: Act) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await act(switchboard, request)
            except BadField as error:
                return bad_field(*error.args)
            except NoSense as error:
                return _json({"error": str(error)}, 409)

        return Route(f"/twilio/{path}", endpoint, methods=[method])

    return [
        route("phones", "GET", _phones),
        route("phones/{number}/answer", "POST", _answer),
        route("phones/{number}/decline", "POST", _decline),
        route("phones/{number}/hangup", "POST", _hang_up),
        route("phones/{number}/press", "POST", _press),
        route("script", "POST", _add_script),
        route("script", "GET", _show_script),
        route("script", "DELETE", _clear_script),
        route("clock", "POST", _move_clock),
    ]


async def _phones(switchboard: Switchboard, _: Request) -> Response:
    return _json([asdict(phone) for phone in switchboard.phones()])


async def _answer(switchboard: Switchboard, request: Request) -> Response:
    switchboard.answer(request.path_params["number"])
    return Response(status_code=204)


async def _decline(switchboard: Switchboard, request: Request) -> Response:
    switchboard.decline(request.path_params["number"])
    return Response(status_code=204)


async def _hang_up(switchboard: Switchboard, request: Request) -> Response:
    switchboard.hang_up(request.path_params["number"])
    return Response(status_code=204)


async def _press(switchboard: Switchboard, request: Request) -> Response:
    digits = (await _fields(request, "digits")).get("digits")
    if not isinstance(digits, str) or not _DIGITS.fullmatch(digits):
        raise BadField("digits", "1 to 20 of 0123456789*#", digits)
    switchboard.press(request.path_params["number"], digits)
    return Response(status_code=204)


async def _add_script(switchboard: Switchboard, request: Request) -> Response:
    number, steps = read_script(await _fields(request, "number", "do"))
    switchboard.script.setdefault(number, []).extend(steps)
    return _script(switchboard, 201)


async def _show_script(switchboard: Switchboard, _: Request) -> Response:
    return _script(switchboard, 200)


async def _clear_script(switchboard: Switchboard, _: Request) -> Response:
    switchboard.script.clear()
    return _script(switchboard, 200)


async def _move_clock(switchboard: Switchboard, request: Request) -> Response:
    given = await _fields(request, "advance", "settle")
    advance = _seconds("advance", given.get("advance"), _FARTHEST)
    settle = _seconds("settle", given.get("settle", _SETTLE), 60)
    await switchboard.clock.advance(advance, settle)
    return _json({"now": switchboard.clock.now()})


def read_script(given: dict[str, Any]) -> tuple[str, list[Step]]:
    """Read `{"number", "do"}`: whose script, and its steps; raises BadField."""
    number, steps = given.get("number"), given.get("do")
    if not isinstance(number, str) or not E164.fullmatch(number):
        raise BadField("number", "a number in E.164", number)
    if not isinstance(steps, list) or not steps:
        raise BadField("do", "a list of steps", steps)
    return number, [_step(step) for step in steps]


def _step(step: object) -> Step:
    match step:
        case {"ring": ("busy" | "no-answer" | "fail" | "decline" | "voicemail") as ring, **more}:
            if not more:
                return Step(ring=ring)
        case {"answer": list(presses), **more}:
            hang_up = more.pop("hang_up", False)
            right = all(isinstance(text, str) and _DIGITS.fullmatch(text) for text in presses)
            if right and isinstance(hang_up, bool) and not more:
                return Step(answer=tuple(presses), hang_up=hang_up)
    takes = f'{{"ring": one of {", ".join(_RINGS)}}} or {{"answer": [keys, …], "hang_up": true}}'
    raise BadField("do", takes, step)


async def _fields(request: Request, *names: str) -> dict[str, Any]:
    """Return the fields of a JSON body; raises BadField for one that is unknown."""
    body = await request.body()
    try:
        given = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise BadField("body", "JSON", body[:80]) from None
    if not isinstance(given, dict):
        raise BadField("body", "a JSON object", given)
    for name in given:
        if name not in names:
            raise BadField(name, f"nothing: there is {', '.join(names)}", given[name])
    return given


def _seconds(name: str, given: Any, most: float) -> float:
    if type(given) not in (int, float) or not 0 <= given <= most:  # NaN is neither
        raise BadField(name, f"seconds, from 0 to {most}", given)
    return float(given)


def _script(switchboard: Switchboard, status: int) -> Response:
    left = {number: [asdict(step) for step in do] for number, do in switchboard.script.items()}
    return _json(left, status)


def _json(content: object, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status, headers={"Cache-Control": "no-store"})
