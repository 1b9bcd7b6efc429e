"""One escalation: what was said of it when it began, and its rotation. Pure."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phone_escalation.rotation import Language, Rotation

# A session is kept, and its webhooks are taken, for so many seconds.
LIFE = 24 * 3600

# What a token may be made of; no other item's key is.
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True)
class Session:
    """One escalation. Times are epoch seconds.

    `texts` is what is said, by language; `bundle_seconds` for how long the same alert joins this
    one after it was acknowledged; `alerts` how many did, itself included.
    """

    token: str
    group_id: str
    group_name: str
    message_id: str
    env_type: str
    texts: dict[Language, str]
    place: str
    caller: str
    slack_channel: str | None
    bundle_seconds: int
    started_at: int
    expires_at: int
    rotation: Rotation
    alerts: int = 1
    version: int = 0


def new_token() -> str:
    """Return a random token of 192 bits, in characters that an address takes."""
    return secrets.token_urlsafe(24)


def standing(session: Session) -> dict[str, Any]:
    """Return where an escalation stands, attempt by attempt, for its caller. Times are ISO 8601."""
    run = session.rotation
    by = run.acknowledged_by
    return {
        "state": run.state,
        "group": session.group_id,
        "message": session.message_id,
        "text": next(iter(session.texts.values())),
        "env_type": session.env_type,
        "alerts": session.alerts,
        "started_at": _iso(session.started_at),
        "ended_at": _iso(run.ended_at),
        "acknowledged_by": run.member_of(by).name if by else None,
        "attempts": [
            {
                "attempt": one.number,
                "name": run.member_of(one.number).name,
                "number": f"…{run.member_of(one.number).number[-4:]}",
                "state": one.phase,
                "outcome": one.outcome,
                "detail": one.detail,
                "began_at": _iso(one.began_at),
                "ended_at": _iso(one.over_at),
            }
            for one in run.attempts
        ],
    }


def _iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
