"""The switchboard: the phones of the laptop, and the calls that ring on them.

A call is a task of its own, which rings and then talks (see conversation.py); its status callbacks
are another, so that they hold nobody up and yet keep their order. All waits go by one clock, which
tests can move. Calls are kept in memory: a restart forgets them, except each phone's last, which is
read from the inbox.

A call rings at once, except one that fails; a phone that is in a call is busy for a second one. A
scripted `busy`, `decline` or `no-answer` comes at once too: to let a phone ring until its Timeout,
give it no script.

What Twilio's documentation does not say, and is a guess here: a declined call is `busy`; callbacks
are numbered from 0, counting those that were asked for; what a mobile phone in Japan has as its
city. A webhook is tried once more after a 5xx too, which Twilio by default does only where it got
no connection; a redirection (3xx) is not followed.
"""

import asyncio
import json
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sandbox import calls, webhook
from sandbox.calls import Call, Order, Report, Step
from sandbox.clock import Clock
from sandbox.conversation import Conversation, Document
from sandbox.inbox import Inbox
from sandbox.service import setting

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TRIES = 2
_LOOKED_THROUGH = 1000  # items of the inbox, for the last calls before a restart


class NoSense(Exception):
    """A person did what makes no sense now, such as answering a phone that is silent."""


@dataclass(frozen=True)
class Heard:
    """A call as the person with the phone has it: `status` is `ringing` or `in-progress`.

    `caller` is the number that calls; `said` the texts so far, newest last; `gathering`: a key is
    waited for; `since`: when it began to ring, seconds since the epoch by the switchboard's clock.
    """

    sid: str
    status: str
    caller: str
    said: tuple[str, ...]
    gathering: bool
    since: float


@dataclass(frozen=True)
class LastCall:
    """A call that rang the phone and is over, as its owner remembers it.

    `status` is the final one, `completed` only where it was answered; `said` all texts, `pressed`
    all keys, in order; `problem`: what went wrong, if anything; `duration` in seconds; `at`: when
    it ended, seconds since the epoch by the switchboard's clock (by the inbox's, after a restart).
    """

    sid: str
    status: str
    said: tuple[str, ...]
    pressed: tuple[str, ...]
    problem: str | None
    duration: int
    at: float


@dataclass(frozen=True)
class Phone:
    """A phone: its number (E.164), whose it is ("" where nobody said), and its call.

    `last` is the call before, until the next one rings.
    """

    number: str
    name: str
    call: Heard | None
    last: LastCall | None


@dataclass(frozen=True)
class Account:
    """Whose calls these are, and what signs their webhooks, which have `patience` seconds."""

    sid: str
    auth_token: str
    patience: float


class Switchboard:
    """All phones and calls. `version` grows at every change that a person could see."""

    def __init__(self, inbox: Inbox, account: Account, phones: Mapping[str, str]) -> None:
        """Start with these phones, name by number, all silent; the inbox has their last calls."""
        self.inbox = inbox
        self.account = account
        self.version = 0
        self.clock = Clock()
        self.calls: dict[str, Call] = {}  # by SID, oldest first
        self.script: dict[str, list[Step]] = {}  # what phones will do, by number
        self._names = dict(phones)
        self._lines: dict[str, Call] = {}  # the call that a phone is in, by number
        self._last: dict[str, LastCall] = {}  # the call before, by number
        for item in inbox.items(channel="twilio", limit=_LOOKED_THROUGH):
            at = datetime.fromisoformat(item.received_at).timestamp()
            if last := _last_call(item.body, at):
                self._last[item.body["to"]] = last
        self._tasks: set[asyncio.Task[None]] = set()

    def phones(self) -> list[Phone]:
        """Return all phones, in the order in which they came to be."""
        return [
            Phone(number, name, self._heard(self._lines.get(number)), self._last.get(number))
            for number, name in self._names.items()
        ]

    def answer(self, number: str) -> None:
        """Pick up a phone that rings; raises NoSense where it does not ring."""
        self._pick_up(self._ringing(number))

    def decline(self, number: str) -> None:
        """Decline a call that rings; raises NoSense where none does."""
        self.end(self._ringing(number), "busy")

    def hang_up(self, number: str) -> None:
        """Hang up a phone in a call; raises NoSense where it is in none."""
        self.end(self._talking(number), "completed")

    def press(self, number: str, digits: str) -> None:
        """Press keys, one after another; raises NoSense where the phone is in no call."""
        self._talking(number).press(digits)
        self._seen()

    def dial(self, order: Order) -> Call:
        """Make a call; it is `queued` until the event loop goes on."""
        steps = self.script.get(order.to)
        call = Call(order, self.clock.now(), steps.pop(0) if steps else None)
        if not steps:
            self.script.pop(order.to, None)
        self.calls[call.sid] = call
        self._names.setdefault(order.to, "")
        self._seen()
        self._note(call, "began", timeout=order.timeout, url=order.url)
        call.task = self._start(self._live(call))
        self._start(self._report(call))
        return call

    def end(self, call: Call, status: str) -> None:
        """End a call with its final status, whatever it is doing; one that has ended stays so."""
        if call.ended is not None:
            return
        self._change(call, status)
        call.ended = call.updated
        call.gathering = False
        rang = self._lines.get(call.order.to) is call
        if rang:
            del self._lines[call.order.to]
        self._tell(call, "completed")
        call.reports.put_nowait(None)
        note = self._note(
            call,
            "ended",
            rang=rang,
            status=status,
            duration=call.duration,
            said=call.said,
            pressed=call.pressed,
            problem=call.problem,
        )
        if last := _last_call(note, call.ended):
            self._last[call.order.to] = last
        if call.task and call.task is not asyncio.current_task():
            call.task.cancel()

    async def close(self) -> None:
        """End all that is going on, without telling anybody."""
        for call in self.calls.values():
            if call.ended is None:
                call.problem = "the sandbox was stopped"
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _live(self, call: Call) -> None:
        try:
            self._tell(call, "initiated")
            if await self._ring(call):
                async with self.clock.limit(call.order.time_limit):
                    await self._converse(call)
        except TimeoutError:
            pass
        finally:  # nothing, not even a mistake in here, leaves a call hanging
            self.end(call, "failed" if call.answered is None else "completed")

    async def _ring(self, call: Call) -> bool:
        """Let the phone ring; whether it was answered."""
        ring = call.step.ring if call.step else None
        if ring == "fail":
            return False
        occupied = call.order.to in self._lines
        if not occupied:
            self._lines[call.order.to] = call
            self._last.pop(call.order.to, None)
        call.started = self.clock.now()
        self._change(call, "ringing")
        self._tell(call, "ringing")
        if occupied or ring in ("busy", "decline"):
            self.end(call, "busy")
            return False
        if ring == "no-answer":
            self.end(call, "no-answer")
            return False
        if call.step:
            self._pick_up(call)
        try:
            async with self.clock.limit(call.order.timeout):
                await call.picked_up.wait()
        except TimeoutError:
            if call.status == "ringing":
                self.end(call, "no-answer")
                return False
        return True

    async def _converse(self, call: Call) -> None:
        async def ask(document: Document) -> webhook.Answer | None:
            fields = {**calls.parameters(call, self.account.sid), **document.more}
            return await self._ask(call, Report(document.method, document.url, fields))

        def failed(url: str, problem: str) -> None:
            self._failed(call, url, problem)

        await Conversation(call, self.clock, ask, failed, self._seen).run()

    def _pick_up(self, call: Call) -> None:
        call.answered = self.clock.now()
        self._change(call, "in-progress")
        self._tell(call, "answered")
        call.picked_up.set()

    async def _report(self, call: Call) -> None:
        """Send a call's status callbacks, one after another."""
        while report := await call.reports.get():
            await self._ask(call, report)

    async def _ask(self, call: Call, report: Report) -> webhook.Answer | None:
        """Send a webhook, and once more where that fails; None without a 2xx."""
        if not webhook.is_address(report.url):
            self._failed(call, report.url, "11100: Invalid URL format")
            return None
        token = webhook.new_token()
        for _ in range(_TRIES):
            try:
                with self.clock.busy():
                    async with self.clock.limit(self.account.patience):
                        answer = await webhook.send(
                            self.account.auth_token,
                            report.method,
                            report.url,
                            report.parameters,
                            token,
                        )
            except TimeoutError:
                self._failed(call, report.url, f"no answer within {self.account.patience:g} s")
            except webhook.WebhookFailed as error:
                self._failed(call, report.url, str(error))
            else:
                if answer.ok:
                    return answer
                self._failed(call, report.url, f"HTTP {answer.status}")
                if answer.status < 500:
                    return None
        return None

    def _failed(self, call: Call, url: str, problem: str) -> None:
        self._note(call, "webhook failed", url=url, problem=problem)

    def _change(self, call: Call, status: str) -> None:
        call.status = status
        call.updated = self.clock.now()
        self._seen()

    def _seen(self) -> None:
        self.version += 1

    def _tell(self, call: Call, event: str) -> None:
        if told := calls.report(call, self.account.sid, event, rfc2822(self.clock.now())):
            call.reports.put_nowait(told)

    def _note(self, call: Call, event: str, **more: object) -> dict[str, Any]:
        who = self._names.get(call.order.to) or call.order.to
        said = {"began": f"call to {who}", "ended": f"call to {who}: {call.status}"}
        words = said.get(event) or f"call to {who}: webhook failed, {more['problem']}"
        ends = {"to": call.order.to, "name": self._names[call.order.to], "from": call.order.caller}
        note = {"event": event, "sid": call.sid, **ends, **more}
        self.inbox.add("twilio", words, note)
        return note

    def _heard(self, call: Call | None) -> Heard | None:
        if call is None or call.started is None:
            return None
        said = tuple(call.said)
        return Heard(call.sid, call.status, call.order.caller, said, call.gathering, call.started)

    def _ringing(self, number: str) -> Call:
        call = self._lines.get(number)
        if call is None or call.status != "ringing":
            raise NoSense(f"{number} does not ring")
        return call

    def _talking(self, number: str) -> Call:
        call = self._lines.get(number)
        if call is None or call.status != "in-progress":
            raise NoSense(f"{number} is in no call")
        return call


def open_switchboard(inbox: Inbox, environ: Mapping[str, str]) -> Switchboard:
    """Make the switchboard of the environment.

    SANDBOX_TWILIO_ACCOUNT_SID; SANDBOX_TWILIO_AUTH_TOKEN, which signs; SANDBOX_PHONES: the phones
    there are from the start, a JSON list of {"number", "name"}; SANDBOX_TWILIO_WEBHOOK_SECONDS: how
    long a webhook may take, default 15.
    """
    account = Account(
        sid=setting(environ, "SANDBOX_TWILIO_ACCOUNT_SID"),
        auth_token=setting(environ, "SANDBOX_TWILIO_AUTH_TOKEN"),
        patience=float(environ.get("SANDBOX_TWILIO_WEBHOOK_SECONDS") or 15),
    )
    return Switchboard(inbox, account, read_phones(setting(environ, "SANDBOX_PHONES")))


def read_phones(text: str) -> dict[str, str]:
    """Read SANDBOX_PHONES; returns names by number. RuntimeError where it is malformed."""
    try:
        phones = json.loads(text)
    except ValueError:
        raise RuntimeError("SANDBOX_PHONES takes JSON") from None
    names: dict[str, str] = {}
    for phone in phones if isinstance(phones, list) else [phones]:
        match phone:
            case {"number": str(number), "name": str(name), **more} if (
                E164.fullmatch(number) and not more
            ):
                names[number] = name
            case _:
                raise RuntimeError(
                    f'SANDBOX_PHONES takes a list of {{"number": "+81…", "name"}}, got {phone!r}'
                )
    return names


def _last_call(note: Any, at: float) -> LastCall | None:
    """Read what the inbox was told of the end of a call; None: that was no such, or rang nobody."""
    if not (isinstance(note, dict) and note.get("event") == "ended" and note.get("rang")):
        return None
    return LastCall(
        sid=note["sid"],
        status=note["status"],
        said=tuple(note["said"]),
        pressed=tuple(note["pressed"]),
        problem=note["problem"],
        duration=note["duration"],
        at=at,
    )


def rfc2822(at: float) -> str:
    """Return a time, seconds since the epoch, as Twilio writes it."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC))
