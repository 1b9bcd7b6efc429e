"""What is answered to who is on the line, and what their key changes. Pure.

Alerts are told in batches, and key 1 takes the batch that was told: what came meanwhile is the next
batch of the same call. A webhook's address says which batch and which telling of it (0, 1, …) it
comes from, so that one that is repeated, or comes late, finds the same answer.
"""

from dataclasses import dataclass
from typing import Literal

from phone_escalation import rotation as steps
from phone_escalation.rotation import Rotation

TELLINGS = 2
# So many alerts are told at once, at most: more is nothing to remember.
BATCH = 5


@dataclass(frozen=True)
class Reply:
    """What to say. `batch` and `telling` are those of a `tell`, `unknown`: its key means nothing.

    tell: the alerts and the keys; thanks: for the acknowledgement; late: who was first; passed on,
    or to nobody: because nobody is left; nothing: just hang up.
    """

    kind: Literal["tell", "thanks", "late", "passed on", "nobody left", "nothing"]
    batch: int = 0
    telling: int = 0
    unknown: bool = False


@dataclass(frozen=True)
class Heard:
    """A word from the line of an attempt, by its number and the call's sid.

    `digits` is the key pressed; '' is the beginning (batch and telling 0), or the silence before a
    telling.
    """

    number: int
    sid: str
    telling: int
    digits: str
    batch: int = 0


def reply(rotation: Rotation, heard: Heard, now: int) -> tuple[Rotation, Reply]:
    """Return the rotation after a word from the line, and what to answer.

    1 acknowledges, 2 passes on, 3 tells again; another key, or none, tells once more and then
    passes on. Where the batch needs nobody any more the next one is told, if there is one.
    """
    number, sid, batch, telling = heard.number, heard.sid, heard.batch, heard.telling
    attempt = rotation.attempt(number)
    if attempt is None or not attempt.takes(sid) or batch > max(0, len(attempt.told) - 1):
        return rotation, Reply("nothing")
    if rotation.state != "acknowledged":
        rotation = steps.answered(rotation, number, sid, now)
    if not attempt.told:
        # Nothing was told yet: no key means anything.
        return _tell_next(rotation, number, Reply("late"))
    if heard.digits == "1":
        rotation = steps.acknowledge(rotation, number, batch, now)
    told = attempt.told[batch]
    if not any(alert in rotation.waiting for alert in told):
        mine = is_taken_by(rotation, told, number)
        return _tell_next(rotation, number, Reply("thanks" if mine else "late", batch))
    unknown = heard.digits not in ("", "2", "3")
    if unknown:
        telling += 1
    if heard.digits == "2" or telling >= TELLINGS:
        outcome = "passed on" if heard.digits == "2" else "no key"
        after = steps.leaves(rotation, number, outcome, now)
        return after, Reply("nobody left" if after.state == "exhausted" else "passed on", batch)
    return rotation, Reply("tell", batch, telling, unknown)


def is_taken_by(rotation: Rotation, alerts: tuple[str, ...], number: int) -> bool:
    """Tell whether an attempt took one of these alerts."""
    taken = (rotation.taken_by(alert) for alert in alerts)
    return any(one is not None and one.by == number for one in taken)


def _tell_next(rotation: Rotation, number: int, otherwise: Reply) -> tuple[Rotation, Reply]:
    """Tell the batch after that of the answer `otherwise`; that itself, where nothing waits."""
    told = rotation.attempts[number - 1].told
    following = otherwise.batch + 1 if told else 0
    after = rotation if following < len(told) else steps.tell(rotation, number, BATCH)
    if following == len(after.attempts[number - 1].told):
        return rotation, otherwise
    return after, Reply("tell", following)
