"""A call of the switchboard: what was ordered, how the phone's owner behaves, and its state."""

import asyncio
import math
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.twiml import Method

API_VERSION = "2010-04-01"
EVENTS = ("initiated", "ringing", "answered", "completed")
# As which CallStatus an event is told; `completed` with the final status.
_TOLD = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}
# What Twilio knows of a number's whereabouts: nothing, of a mobile phone in Japan.
_WHERE = {
    f"{who}{what}": "JP" if what == "Country" else ""
    for who in ("To", "From", "Called", "Caller")
    for what in ("City", "State", "Zip", "Country")
}

Ring = Literal["busy", "no-answer", "fail", "decline", "voicemail"]


@dataclass(frozen=True)
class Order:
    """What `POST Calls.json` asks for: an address of TwiML, or TwiML itself."""

    to: str
    caller: str
    url: str | None
    method: Method
    twiml: str | None
    callback: str | None
    callback_method: Method
    events: frozenset[str]
    timeout: int
    time_limit: int


@dataclass(frozen=True)
class Step:
    """How a phone behaves in one call, without a person.

    Either `ring`, or `answer`: it picks up at once and presses these keys, one text a Gather. When
    they are used up it stays silent, or with `hang_up` hangs up as soon as a key is asked for.
    """

    ring: Ring | None = None
    answer: tuple[str, ...] = ()
    hang_up: bool = False


@dataclass(frozen=True)
class Report:
    """A status callback: to whom, and what it says."""

    method: Method
    url: str
    parameters: Mapping[str, str]


@dataclass(eq=False)
class Call:
    """One call; times are seconds since the epoch by the switchboard's clock."""

    order: Order
    created: float
    step: Step | None
    sid: str = field(default_factory=lambda: f"CA{secrets.token_hex(16)}")
    status: str = "queued"
    updated: float = 0
    started: float | None = None
    answered: float | None = None
    ended: float | None = None
    said: list[str] = field(default_factory=list)
    pressed: list[str] = field(default_factory=list)
    problem: str | None = None
    gathering: bool = False
    keys: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    presses: deque[str] = field(default_factory=deque)  # what a scripted phone will press
    picked_up: asyncio.Event = field(default_factory=asyncio.Event)
    reports: asyncio.Queue[Report | None] = field(default_factory=asyncio.Queue)
    reported: int = 0
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        self.updated = self.created
        if self.step:
            self.presses.extend(self.step.answer)

    def press(self, digits: str) -> None:
        """Press keys; those that nobody waits for are lost."""
        self.pressed.append(digits)
        if self.gathering:
            for digit in digits:
                self.keys.put_nowait(digit)

    @property
    def duration(self) -> int:
        """Whole seconds between answer and end, so far 0."""
        if self.answered is None or self.ended is None:
            return 0
        return round(self.ended - self.answered)


def parameters(call: Call, account_sid: str) -> dict[str, str]:
    """Return the form fields that every webhook of a call carries."""
    return {
        "CallSid": call.sid,
        "AccountSid": account_sid,
        "From": call.order.caller,
        "To": call.order.to,
        "Caller": call.order.caller,
        "Called": call.order.to,
        "CallStatus": call.status,
        "Direction": "outbound-api",
        "ApiVersion": API_VERSION,
        **_WHERE,
    }


def report(call: Call, account_sid: str, event: str, at: str) -> Report | None:
    """Return the status callback of an event, `at` in RFC 2822; None where nobody asked for it."""
    order = call.order
    if order.callback is None or event not in order.events:
        return None
    end = {
        "CallDuration": str(call.duration),
        "Duration": str(math.ceil(call.duration / 60)),
    }
    fields = {
        **parameters(call, account_sid),
        "CallStatus": _TOLD.get(event, call.status),
        "Timestamp": at,
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(call.reported),
        **(end if event == "completed" else {}),
    }
    call.reported += 1
    return Report(order.callback_method, order.callback, fields)
