"""What is answered to who is on the line, and what their key changes. Pure.

A webhook's address says which telling it comes from (0, 1, …), so that one that is repeated, or
comes late, finds the same answer.
"""

from dataclasses import dataclass
from typing import Literal

from phone_escalation import rotation as steps
from phone_escalation.rotation import Rotation

TELLINGS = 2


@dataclass(frozen=True)
class Reply:
    """What to say. `telling` is that of a `tell`.

    tell: the message and the keys; thanks: for the acknowledgement; late: who was first; passed on,
    or to nobody: because nobody is left; nothing: just hang up.
    """

    kind: Literal["tell", "thanks", "late", "passed on", "nobody left", "nothing"]
    telling: int = 0


@dataclass(frozen=True)
class Heard:
    """A word from the line of an attempt, by its number and the call's sid.

    `digits` is the key pressed; '' is the beginning (telling 0), or the silence before a telling.
    """

    number: int
    sid: str
    telling: int
    digits: str


def reply(rotation: Rotation, heard: Heard, now: int) -> tuple[Rotation, Reply]:
    """Return the rotation after a word from the line, and what to answer.

    1 acknowledges, 2 passes on, 3 tells again; another key, or none, tells once more and then
    passes on.
    """
    number, sid, telling, digits = heard.number, heard.sid, heard.telling, heard.digits
    attempt = rotation.attempt(number)
    if attempt is None or not attempt.takes(sid):
        return rotation, Reply("nothing")
    if rotation.state == "acknowledged":
        mine = rotation.acknowledged_by == number
        return rotation, Reply("thanks" if mine else "late")
    rotation = steps.answered(rotation, number, sid, now)
    if digits == "1":
        return steps.acknowledge(rotation, number, now), Reply("thanks")
    if digits not in ("", "2", "3"):
        telling += 1
    if digits == "2" or telling >= TELLINGS:
        outcome = "passed on" if digits == "2" else "no key"
        after = steps.ended(rotation, number, outcome, now)
        return after, Reply("nobody left" if after.state == "exhausted" else "passed on")
    return rotation, Reply("tell", telling)
