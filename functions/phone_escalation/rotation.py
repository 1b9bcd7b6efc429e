"""The rotation: who is phoned next, and what a status, a key, silence or a crash changes.

A rotation changes by the functions here alone, each of which may be told anything, late, twice or
out of order: what does not fit changes nothing. `todo` says what is to be done in the world, now.
Times are epoch seconds.
"""

from dataclasses import dataclass, replace
from typing import Literal

Language = Literal["ja", "en"]
State = Literal["calling", "acknowledged", "exhausted"]
# due: to be dialled; dialling: somebody has claimed that; ringing, talking: there is a call;
# leaving: how it ended is clear, but the last words are being said; over.
Phase = Literal["due", "dialling", "ringing", "talking", "leaving", "over"]
Deed = Literal["dial", "look up", "check", "hang up", "report", "warn"]

# A claim to dial is good for so long: more than the dialler's own deadline.
LEASE = 30
# How late a call's last status may be, after the ring timeout.
GRACE = 30
# The last words take less; until then the phone is not free for another call.
FAREWELL = 30
# The longest telling with its wait for a key, and then some.
TELLING = 180
# Until another try where Twilio surely did not call.
PAUSE = 60
# So long may Twilio be away before the rotation gives up.
PATIENCE = 3600
# So often is a report of exhaustion, or a warning, tried.
REPORTS = 5

FINAL = {
    "completed": "hung up",
    "busy": "busy",
    "no-answer": "no answer",
    "failed": "failed",
    "canceled": "cancelled",
}


@dataclass(frozen=True)
class Member:
    """Who may be phoned: a name, a number in E.164, a language."""

    name: str
    number: str
    language: Language


@dataclass(frozen=True)
class Attempt:
    """One attempt to reach one member, by `member`, an index. `number` counts from 1.

    `due_at` is when somebody should look after it, `again` the second try after busy, `outcome`
    how it ended and `detail` Twilio's words on that. `guessed`: a look-up found the `sid`, which
    may be that of another escalation's call to the same phone. `told` are the alerts that were
    told in the call, one batch after another: key 1 acknowledges a batch.
    """

    number: int
    member: int
    began_at: int
    due_at: int
    again: bool = False
    phase: Phase = "due"
    sid: str | None = None
    guessed: bool = False
    outcome: str | None = None
    detail: str | None = None
    over_at: int | None = None
    told: tuple[tuple[str, ...], ...] = ()

    def takes(self, sid: str) -> bool:
        """Tell whether a call's word counts: that of a second call of one attempt does not."""
        return self.guessed or self.sid in (None, sid)


@dataclass(frozen=True)
class Taken:
    """An alert that was acknowledged: by which attempt, and when."""

    alert: str
    by: int
    at: int


@dataclass(frozen=True)
class Notice:
    """Something to be told of a rotation, once: when it is to be tried, and how often it was."""

    due_at: int | None = None
    tries: int = 0

    def is_due(self, now: int) -> bool:
        """Tell whether it is to be tried, and nobody has claimed that."""
        return self.due_at is not None and self.due_at <= now

    def claimed(self, now: int) -> "Notice":
        """Claim a try."""
        tries = self.tries + 1
        return Notice(now + PAUSE if tries < REPORTS else None, tries)

    def done(self) -> "Notice":
        """Try it no more."""
        return replace(self, due_at=None)


@dataclass(frozen=True)
class Rotation:
    """Members in order, `rounds` times, `ring_timeout` seconds each, and how far that has come.

    `waiting` are the alerts (their ids) that nobody has acknowledged, in order, `taken` the others.
    `first` is the member who is phoned before the others; the turns are counted from the attempt
    after `base`, for another alert may set the rotation going anew. `report` says that nobody
    acknowledged, and was `counted` or not; `warning` says what the operators' tables lack.
    """

    members: tuple[Member, ...]
    rounds: int
    ring_timeout: int
    attempts: tuple[Attempt, ...]
    waiting: tuple[str, ...]
    taken: tuple[Taken, ...] = ()
    first: int = 0
    base: int = 0
    state: State = "calling"
    ended_at: int | None = None
    acknowledged_by: int | None = None
    report: Notice = Notice()
    counted: bool = False
    warning: Notice = Notice()

    def attempt(self, number: int) -> Attempt | None:
        """Return an attempt by its number, or None."""
        return self.attempts[number - 1] if 0 < number <= len(self.attempts) else None

    def member_of(self, number: int) -> Member:
        """Return whom an attempt phones."""
        return self.members[self.attempts[number - 1].member]

    def taken_by(self, alert: str) -> Taken | None:
        """Return who acknowledged an alert, and when; None while it waits."""
        return next((one for one in self.taken if one.alert == alert), None)

    @property
    def on_the_line(self) -> bool:
        """Tell whether a phone may be in use, or is about to be."""
        return any(attempt.phase != "over" for attempt in self.attempts)


@dataclass(frozen=True)
class Action:
    """Something to be done in the world. `attempt` is its number; 0 for the report."""

    deed: Deed
    attempt: int = 0


def start(
    members: tuple[Member, ...], rounds: int, ring_timeout: int, alert: str, now: int
) -> Rotation:
    """Begin with an alert (its id): the first member is to be phoned.

    Without members it has ended, and is to be reported.
    """
    if not members:
        none = Rotation(members, rounds, ring_timeout, (), waiting=(alert,))
        return _exhaust(none, now)
    attempt = Attempt(number=1, member=0, began_at=now, due_at=now)
    return Rotation(members, rounds, ring_timeout, (attempt,), waiting=(alert,))


def alerted(rotation: Rotation, alert: str, now: int) -> Rotation:
    """Have one more alert told: in the calls that go on, or anew where that had ended.

    Anew, who acknowledged the others is phoned first.
    """
    waiting = tuple(dict.fromkeys((*rotation.waiting, alert)))
    if rotation.state == "calling":
        return replace(rotation, waiting=waiting)
    by = rotation.acknowledged_by
    anew = replace(
        rotation,
        waiting=waiting,
        state="calling",
        ended_at=None,
        acknowledged_by=None,
        report=Notice(),
        counted=False,
        first=rotation.attempts[by - 1].member if by else 0,
        base=len(rotation.attempts),
    )
    return _next(anew, now)


def tell(rotation: Rotation, number: int, most: int) -> Rotation:
    """Take note that an attempt is told what waits, at most so many alerts, as its next batch."""
    attempt = rotation.attempt(number)
    if attempt is None or not rotation.waiting:
        return rotation
    return _put(rotation, replace(attempt, told=(*attempt.told, rotation.waiting[:most])))


def todo(rotation: Rotation, now: int) -> list[Action]:
    """Return what is to be done, now."""
    return [action for at, action in _agenda(rotation) if at <= now]


def due_at(rotation: Rotation) -> int | None:
    """Return when `todo` will have something next (or had already), None if never."""
    return min((at for at, _ in _agenda(rotation)), default=None)


def claim(rotation: Rotation, number: int, now: int) -> Rotation:
    """Claim the dialling of an attempt: unchanged where that is not to be done (any more)."""
    attempt = rotation.attempt(number)
    if rotation.state != "calling" or attempt is None:
        return rotation
    if attempt.phase != "due" or _dial_at(rotation, attempt) > now:
        return rotation
    return _put(rotation, replace(attempt, phase="dialling", due_at=now + LEASE))


def dialled(rotation: Rotation, number: int, sid: str, now: int) -> Rotation:
    """Take note of an attempt's call, as Twilio answered, or as a look-up or a webhook tells."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.phase not in ("due", "dialling") or not attempt.takes(sid):
        return rotation
    return _rings(rotation, replace(attempt, phase="ringing", sid=sid), now)


def put_back(rotation: Rotation, number: int, detail: str, now: int) -> Rotation:
    """Try again in a minute, as Twilio surely did not call."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.phase != "dialling":
        return rotation
    if rotation.state != "calling":
        return _over(rotation, attempt, "not needed", now)
    return _put(rotation, replace(attempt, phase="due", due_at=now + PAUSE, detail=detail))


def lost(rotation: Rotation, number: int, now: int) -> Rotation:
    """Dial anew: a look-up found no call of an attempt whose dialler was never heard of again."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.phase != "dialling" or attempt.due_at > now:
        return rotation
    if rotation.state != "calling":
        return _over(rotation, attempt, "not needed", now)
    return _put(rotation, replace(attempt, phase="due", due_at=now))


def held_up(rotation: Rotation, number: int, detail: str, now: int) -> Rotation:
    """Give up the whole rotation where one attempt has held it up for an hour: Twilio is away."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.phase == "over" or now - attempt.began_at <= PATIENCE:
        return rotation
    if attempt.phase == "leaving":
        return _hung_up(rotation, attempt)
    return _exhaust(_put(rotation, _ended(attempt, "unreachable", now, detail)), now)


def queued(rotation: Rotation, number: int, now: int) -> Rotation:
    """Wait for a call that Twilio has not begun yet, within limits."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.phase != "ringing" or now - attempt.began_at > PATIENCE:
        return rotation
    return _put(rotation, replace(attempt, due_at=now + PAUSE))


def answered(rotation: Rotation, number: int, sid: str, now: int) -> Rotation:
    """Give somebody, or something, that took the call time for a key."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.outcome or not attempt.takes(sid):
        return rotation
    known = replace(attempt, sid=sid, guessed=False)
    talking = replace(known, phase="talking", due_at=now + TELLING)
    return _put(rotation, _withdrawable(rotation, talking, now))


def acknowledge(rotation: Rotation, number: int, batch: int, now: int) -> Rotation:
    """Key 1: takes the alerts of a batch, whoever presses, unless somebody was first.

    Where none waits any more that ends it: what still rings is to stop.
    """
    attempt = rotation.attempt(number)
    if attempt is None or batch >= len(attempt.told):
        return rotation
    mine = [alert for alert in attempt.told[batch] if alert in rotation.waiting]
    if not mine:
        return rotation
    rotation = replace(
        rotation,
        waiting=tuple(alert for alert in rotation.waiting if alert not in mine),
        taken=(*rotation.taken, *(Taken(alert, number, now) for alert in mine)),
    )
    if rotation.waiting:
        return rotation
    won = replace(
        rotation,
        state="acknowledged",
        acknowledged_by=number,
        ended_at=now,
        report=rotation.report.done(),
    )
    won = _put(won, _left(attempt, "acknowledged", now))
    for other in won.attempts:
        if other.phase == "due":
            won = _put(won, _ended(other, "not needed", now))
        elif not other.outcome:
            won = _put(won, _withdrawable(won, other, now))
    return won


def ended(
    rotation: Rotation, number: int, outcome: str, now: int, detail: str | None = None
) -> Rotation:
    """End an attempt that came to nothing: the next one is due, or nobody is left."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.phase == "over":
        return rotation
    return _over(rotation, attempt, outcome, now, detail)


def leaves(rotation: Rotation, number: int, outcome: str, now: int) -> Rotation:
    """End an attempt as `ended` does, while the last words are said on its line."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.outcome:
        return rotation
    return _follow(_put(rotation, _left(attempt, outcome, now)), now)


def status(rotation: Rotation, number: int, sid: str, said: str, now: int) -> Rotation:
    """Take note of a call's status: queued, initiated, ringing, in-progress, or a final one."""
    attempt = rotation.attempt(number)
    if attempt is None or not attempt.takes(sid):
        return rotation
    known = replace(attempt, sid=sid, guessed=False)
    if said in FINAL:
        if attempt.phase == "over":
            return rotation
        return _over(rotation, known, FINAL[said], now)
    if said == "in-progress" and attempt.phase != "talking":
        return answered(rotation, number, sid, now)
    if said == "ringing" and attempt.phase == "ringing":
        # It may have waited at Twilio until now.
        return _rings(rotation, known, now)
    return dialled(rotation, number, sid, now)


def found(rotation: Rotation, number: int, sid: str, said: str, now: int) -> Rotation:
    """Take note of a call that was looked up; a webhook, which is signed, may name another."""
    attempt = rotation.attempt(number)
    if attempt is None or attempt.sid not in (None, sid):
        return rotation
    after = status(rotation, number, sid, said, now)
    mine = after.attempts[number - 1]
    return _put(after, replace(mine, guessed=attempt.guessed or mine.sid != attempt.sid))


def reporting(rotation: Rotation, now: int) -> Rotation:
    """Claim the report of exhaustion: unchanged where another does it, or it is done."""
    due = rotation.report.is_due(now)
    return replace(rotation, report=rotation.report.claimed(now)) if due else rotation


def counted(rotation: Rotation) -> Rotation:
    """Take note that the metric is out."""
    return replace(rotation, counted=True)


def reported(rotation: Rotation) -> Rotation:
    """Take note that the report is out."""
    return replace(rotation, report=rotation.report.done())


def warning(rotation: Rotation, now: int) -> Rotation:
    """Claim the warning of what the tables lack, as `reporting` does the report."""
    due = rotation.warning.is_due(now)
    return replace(rotation, warning=rotation.warning.claimed(now)) if due else rotation


def warned(rotation: Rotation) -> Rotation:
    """Take note that the warning is out."""
    return replace(rotation, warning=rotation.warning.done())


def _agenda(rotation: Rotation) -> list[tuple[int, Action]]:
    on_the_line: Deed = "check" if rotation.state == "calling" else "hang up"
    deeds: dict[Phase, Deed] = {
        "due": "dial",
        "dialling": "look up",
        "ringing": on_the_line,
        "talking": on_the_line,
        "leaving": "hang up",
    }
    agenda = [
        (_dial_at(rotation, attempt), Action(deeds[attempt.phase], attempt.number))
        for attempt in rotation.attempts
        if attempt.phase != "over"
    ]
    notices: dict[Deed, Notice] = {"report": rotation.report, "warn": rotation.warning}
    agenda += [
        (one.due_at, Action(deed)) for deed, one in notices.items() if one.due_at is not None
    ]
    return agenda


def _dial_at(rotation: Rotation, attempt: Attempt) -> int:
    """Return when an attempt is due: to be dialled, not before its phone is free."""
    if attempt.phase != "due":
        return attempt.due_at
    number = rotation.member_of(attempt.number).number
    leaving = (
        other.due_at
        for other in rotation.attempts
        if other.phase == "leaving" and rotation.member_of(other.number).number == number
    )
    return max(attempt.due_at, *leaving, 0)


def _withdrawable(rotation: Rotation, attempt: Attempt, now: int) -> Attempt:
    """Make a call that rings for nothing due at once.

    One being dialled keeps its lease, and who is on the line hears who was first.
    """
    if rotation.state == "calling" or attempt.phase != "ringing":
        return attempt
    return replace(attempt, due_at=now)


def _rings(rotation: Rotation, attempt: Attempt, now: int) -> Rotation:
    ringing = replace(attempt, due_at=now + rotation.ring_timeout + GRACE)
    return _put(rotation, _withdrawable(rotation, ringing, now))


def _put(rotation: Rotation, attempt: Attempt) -> Rotation:
    attempts = list(rotation.attempts)
    attempts[attempt.number - 1] = attempt
    return replace(rotation, attempts=tuple(attempts))


def _ended(attempt: Attempt, outcome: str, now: int, detail: str | None = None) -> Attempt:
    return replace(attempt, phase="over", outcome=outcome, detail=detail, over_at=now)


def _left(attempt: Attempt, outcome: str, now: int) -> Attempt:
    after = _ended(attempt, outcome, now)
    if attempt.phase != "talking":
        return after
    return replace(after, phase="leaving", due_at=now + FAREWELL)


def _hung_up(rotation: Rotation, attempt: Attempt) -> Rotation:
    return _put(rotation, replace(attempt, phase="over"))


def _over(
    rotation: Rotation, attempt: Attempt, outcome: str, now: int, detail: str | None = None
) -> Rotation:
    if attempt.phase == "leaving":
        return _hung_up(rotation, attempt)
    return _follow(_put(rotation, _ended(attempt, outcome, now, detail)), now)


def _follow(rotation: Rotation, now: int) -> Rotation:
    return _next(rotation, now) if rotation.state == "calling" else rotation


def _next(rotation: Rotation, now: int) -> Rotation:
    last = rotation.attempts[-1]
    if not last.outcome:
        return rotation
    number = last.number + 1
    mine = rotation.attempts[rotation.base :]
    if mine and last.outcome == "busy" and not last.again:
        following = Attempt(number, last.member, began_at=now, due_at=now, again=True)
    else:
        turn = sum(not attempt.again for attempt in mine)
        if turn >= rotation.rounds * len(rotation.members):
            return _exhaust(rotation, now)
        # Who was busy may be on the phone about another alert: a new round gives them a minute.
        busy = any(attempt.outcome == "busy" for attempt in mine)
        place = turn % len(rotation.members)
        pause = PAUSE if busy and place == 0 else 0
        others = [member for member in range(len(rotation.members)) if member != rotation.first]
        member = [rotation.first, *others][place]
        following = Attempt(number, member, began_at=now, due_at=now + pause)
    return replace(rotation, attempts=(*rotation.attempts, following))


def _exhaust(rotation: Rotation, now: int) -> Rotation:
    if rotation.state != "calling":
        return rotation
    return replace(rotation, state="exhausted", ended_at=now, report=Notice(now))
