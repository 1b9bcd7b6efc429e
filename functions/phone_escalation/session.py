"""One escalation: the alerts that a group is phoned about, and its rotation. Pure."""

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from phone_escalation.rotation import Language, Rotation

# A session is kept, and its webhooks are taken, for so many seconds.
LIFE = 24 * 3600
# So many alerts are in one session, at most: an item of the table has 400 KB.
MOST_ALERTS = 50

# What a token may be made of; no other item's key is.
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True)
class Alert:
    """What happened. `texts` is what is said of it, by language; `at` when it came.

    Alerts of one `identity` (see `identity`) are the same alert, come again.
    """

    identity: str
    message_id: str
    texts: dict[Language, str]
    at: int


@dataclass(frozen=True)
class Session:
    """One escalation. Times are epoch seconds.

    `alerts` are what the group is phoned about, by id; `repeats` how often each came again;
    `bundle_seconds` for how long an alert joins this one after it was acknowledged; `problems` what
    the operators' tables lack, or say twice.
    """

    token: str
    group_id: str
    group_name: str
    env_type: str
    place: str
    caller: str
    slack_channel: str | None
    bundle_seconds: int
    started_at: int
    expires_at: int
    rotation: Rotation
    alerts: dict[str, Alert]
    repeats: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    version: int = 0

    @property
    def count(self) -> int:
        """How many alerts came, all repeats included."""
        return len(self.alerts) + sum(self.repeats.values())

    def times(self, alert: str) -> int:
        """Return how often an alert (its id) came."""
        return 1 + self.repeats.get(alert, 0)

    def state(self, alert: str) -> str:
        """Return where an alert (its id) stands: calling, acknowledged or exhausted."""
        return self.rotation.state if alert in self.rotation.waiting else "acknowledged"


def new_token() -> str:
    """Return a random token of 192 bits, in characters that an address takes."""
    return secrets.token_urlsafe(24)


def identity(message_id: str, variables: Sequence[str], dedup_key: str | None) -> str:
    """Return what tells an alert of a group from another: the caller's key, or message and values.

    In characters that name an item and an attribute of the table.
    """
    of = [message_id, *variables] if dedup_key is None else {"dedupKey": dedup_key}
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:16]


def joins(session: Session, identity: str, now: int) -> str | None:
    """Return the id of the alert that the same alert, come again, joins; None: it joins none.

    It joins one that a phone rings for, or that was acknowledged less than `bundle_seconds` ago.
    """
    for alert in _ids(session, identity):
        taken = session.rotation.taken_by(alert)
        if taken and now - taken.at < session.bundle_seconds:
            return alert
        if not taken and session.rotation.state == "calling":
            return alert
    return None


def takes_more(session: Session) -> bool:
    """Tell whether another alert of the group is told in this session's calls.

    Also while somebody's last words are being said: nobody is dialled twice at a time.
    """
    return session.rotation.state == "calling" or session.rotation.on_the_line


def unused_id(session: Session, identity: str) -> str:
    """Return an id for an alert that the session gets: of one that still waits its own."""
    known = _ids(session, identity)
    waits = next((alert for alert in known if alert in session.rotation.waiting), None)
    return waits or (f"{identity}-{len(known)}" if known else identity)


def first_to_phone(earlier: Session | None, new: Rotation, now: int) -> int:
    """Return which member of a new rotation is phoned first: who took the group's last alerts.

    The first on duty, where that was `bundle_seconds` ago, or who it was is not on duty.
    """
    run = earlier and earlier.rotation
    if not earlier or not run or run.acknowledged_by is None or run.ended_at is None:
        return 0
    if now - run.ended_at >= earlier.bundle_seconds:
        return 0
    took = run.member_of(run.acknowledged_by)
    return new.members.index(took) if took in new.members else 0


def led_by(new: Session, first: int) -> Session:
    """Return a session that has not begun yet, with another member to be phoned first."""
    run = new.rotation
    attempts = tuple(replace(attempt, member=first) for attempt in run.attempts)
    return replace(new, rotation=replace(run, first=first, attempts=attempts))


def _ids(session: Session, identity: str) -> list[str]:
    return [alert for alert, one in session.alerts.items() if one.identity == identity]


def standing(session: Session) -> dict[str, Any]:
    """Return where an escalation stands, alert by alert and attempt by attempt, for its caller.

    `message` and `text` are those of the alert that opened it. Times are ISO 8601.
    """
    run = session.rotation
    by = run.acknowledged_by
    alerts = sorted(session.alerts.items(), key=lambda one: (one[1].at, one[0]))
    first = alerts[0][1]
    return {
        "state": run.state,
        "group": session.group_id,
        "message": first.message_id,
        "text": _text(first),
        "env_type": session.env_type,
        "alerts": session.count,
        "started_at": _iso(session.started_at),
        "ended_at": _iso(run.ended_at),
        "acknowledged_by": run.member_of(by).name if by else None,
        "each_alert": [_alert_standing(session, key, alert) for key, alert in alerts],
        "attempts": [
            {
                "attempt": one.number,
                "name": run.member_of(one.number).name,
                "number": f"…{run.member_of(one.number).number[-4:]}",
                "state": "over" if one.outcome else one.phase,
                "outcome": one.outcome,
                "detail": one.detail,
                "began_at": _iso(one.began_at),
                "ended_at": _iso(one.over_at),
            }
            for one in run.attempts
        ],
    }


def _alert_standing(session: Session, key: str, alert: Alert) -> dict[str, Any]:
    taken = session.rotation.taken_by(key)
    return {
        "alert": key,
        "message": alert.message_id,
        "text": _text(alert),
        "state": session.state(key),
        "times": session.times(key),
        "came_at": _iso(alert.at),
        "acknowledged_by": session.rotation.member_of(taken.by).name if taken else None,
        "acknowledged_at": _iso(taken.at) if taken else None,
    }


def _text(alert: Alert) -> str:
    return next(iter(alert.texts.values()))


def _iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
