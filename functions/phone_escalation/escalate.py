"""Open an escalation, or let an alert join the one that runs."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from phone_escalation import addresses, duties, rotation, store
from phone_escalation.roster import Roster, Said, duty
from phone_escalation.session import LIFE, Alert, Session, new_token

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trouble:
    """What a group is to be phoned about; those of one `identity` are the same alert."""

    group_id: str
    message_id: str
    identity: str
    said: Said
    env_type: str


def escalate(roster: Roster, trouble: Trouble, now: int) -> dict[str, Any]:
    """Have a group phoned, or told one more alert in the calls that go on.

    Returns what the caller is told, `{"token", "alert", "state", "joined", "alerts",
    "status_url"}`. The table's stream starts the dialling: that has no way to lose what was
    written, and this function no way to the internet. Raises NotFound, RosterError, Throttled, or
    Contended.
    """
    found = duty(roster, trouble.group_id, trouble.env_type, duties.local(now))
    group = found.group
    problems = (*found.gaps, *found.overlaps, *trouble.said.problems)
    for problem in problems:
        log.error("the tables: %s", problem, extra={"group": group.group_id})
    run = rotation.start(found.members, group.rounds, group.ring_timeout, trouble.identity, now)
    new = Session(
        token=new_token(),
        group_id=group.group_id,
        group_name=group.name,
        env_type=trouble.env_type,
        place=found.place,
        caller=found.caller,
        slack_channel=group.slack_channel,
        bundle_seconds=group.bundle_minutes * 60,
        started_at=now,
        expires_at=now + LIFE,
        problems=problems,
        rotation=replace(run, warning=rotation.Notice(now if problems else None)),
        alerts={
            trouble.identity: Alert(
                trouble.identity, trouble.message_id, dict(trouble.said.texts), at=now
            )
        },
    )
    session, alert, joined = store.open_or_join(new, group.escalations_per_hour)
    log.info(
        "an alert joined" if joined else "an escalation opened",
        extra={
            "group": group.group_id,
            "alert": trouble.message_id,
            "alerts": session.count,
            "env_type": session.env_type,
        },
    )
    return {
        "token": session.token,
        "alert": alert,
        "state": session.state(alert),
        "joined": joined,
        "alerts": session.count,
        "status_url": addresses.of_status(session.group_id, session.token),
    }
