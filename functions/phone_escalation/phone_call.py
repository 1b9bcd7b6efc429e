"""The entrance: a monitoring system, or an alarm, has the people on duty phoned."""

import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common import events, failures, logs
from common.api import Answer, Refusal, Request, answer, answering
from common.events import InvalidEvent, parse, require
from phone_escalation import duties, store, words
from phone_escalation.escalate import Trouble, escalate
from phone_escalation.roster import NotFound, RosterError, Said, problems, texts
from phone_escalation.session import identity, standing

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
LONGEST_KEY = 255

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """What a caller says: which message, and what stands in its places, in order.

    Alerts with one `dedupKey` are the same alert; without one, those of one message and variables.
    """

    messageId: str  # noqa: N815 (the API's name)
    variableMessage: list[str] | str = field(default_factory=list)  # noqa: N815
    dedupKey: str | None = None  # noqa: N815

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        require(ID.fullmatch(self.messageId), "messageId", self.messageId, "letters, digits, _ -")
        key = self.dedupKey
        require(key is None or 0 < len(key) <= LONGEST_KEY, "dedupKey", key, "1 to 255 characters")

    @property
    def variables(self) -> list[str]:
        """The variables, as a list."""
        given = self.variableMessage
        several = [given] if isinstance(given, str) else given
        # A text that was cut may end in half a character.
        return [one.encode("utf-8", "replace").decode() for one in several]

    @property
    def identity(self) -> str:
        """What tells this alert of a group from another."""
        return identity(self.messageId, self.variables, self.dedupKey)


@dataclass(frozen=True)
class Call(Alert):
    """The payload by hand: an alert for a group."""

    groupId: str = ""  # noqa: N815

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        super().__post_init__()
        require(ID.fullmatch(self.groupId), "groupId", self.groupId, "letters, digits, _ -")


@dataclass(frozen=True)
class Check:
    """The payload that has the tables checked, those rows too that are valid later."""

    check: bool

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        require(self.check, "check", self.check, "true")


def handler(event: object, context: Any) -> dict[str, Any]:
    """Open an escalation, or let the alert join the one that runs.

    Takes API Gateway's events, SNS's with CloudWatch alarms, and by hand a `Call` or a `Check`. A
    repeated event joins the escalation that the first one opened.
    """
    if isinstance(event, Mapping) and "httpMethod" in event:
        return answering(event, context, _api)
    now = int(time.time())
    records = events.records(event, "Sns")
    if records is not None:
        return _alarms(records, now)
    if isinstance(event, Mapping) and "check" in event:
        parse(Check, event)
        # Not the copy: it is the tables that are checked.
        roster = duties.fresh(now)
        rows = sum(1 for _ in roster.keyed())
        found = problems(roster, os.environ["ENV_TYPE"], duties.local(now))
        failures.raise_for(found, tried=rows)
        return {"checked": rows}
    call = parse(Call, event)
    roster = duties.read(now)
    said = texts(roster, call.messageId, call.variables, duties.local(now))
    trouble = Trouble(call.groupId, call.messageId, call.identity, said, os.environ["ENV_TYPE"])
    return escalate(roster, trouble, now)


def _api(request: Request) -> Answer:
    now = int(time.time())
    group_id = request.path["groupId"]
    require(ID.fullmatch(group_id), "groupId", group_id, "letters, digits, _ -")
    if request.method == "GET":
        session = store.load(request.only("token"), now, group_id)
        if session is None:
            raise Refusal(404, "token: there is no such escalation of this group (any more)")
        return answer(200, standing(session))
    alert = _alert(request)
    env_type = request.stage["env_type"]
    try:
        roster = duties.read(now)
        said = texts(roster, alert.messageId, alert.variables, duties.local(now))
        trouble = Trouble(group_id, alert.messageId, alert.identity, said, env_type)
        told = escalate(roster, trouble, now)
    except NotFound as error:
        raise Refusal(404, str(error)) from None
    except RosterError as error:
        raise Refusal(409, str(error)) from None
    except store.Throttled as error:
        left = store.HOUR - now % store.HOUR
        raise Refusal(429, str(error), Retry_After=str(left)) from None
    except store.Contended as error:
        raise Refusal(503, f"{error}: try again", Retry_After="5") from None
    except duties.Unreadable as error:
        log.warning("refused", extra={"status": 503, "reason": str(error)})
        raise Refusal(503, "the tables cannot be read: try again", Retry_After="60") from None
    return answer(202, told, Location=told["status_url"])


def _alert(request: Request) -> Alert:
    """Take an alert from the JSON body and the query, whose fields come first."""
    found: Any = {}
    if request.body.strip():
        try:
            found = json.loads(request.body)
        except (ValueError, RecursionError):
            raise InvalidEvent("body: takes a JSON object") from None
        require(isinstance(found, dict), "body", found, "a JSON object")
    query: dict[str, Any] = dict(request.query)
    for name in {"messageId", "dedupKey"} & query.keys():
        query[name] = request.only(name)
    parse(Alert, {**query, **found})  # what the query stands before must be right, too
    return parse(Alert, {**found, **query})


def _alarms(records: Sequence[Mapping[str, Any]], now: int) -> dict[str, Any]:
    groups = json.loads(os.environ["ALARM_GROUPS"])
    failed: dict[str, object] = {}
    told = []
    for record in records:
        notice = record["Sns"]
        topic = notice["TopicArn"].rsplit(":", 1)[1]
        try:
            alarm = json.loads(notice["Message"])
            name = alarm["AlarmName"]
            if alarm["NewStateValue"] != "ALARM":
                continue
        except (ValueError, KeyError, TypeError):
            failed[topic] = f"no CloudWatch alarm: {notice['Message'][:200]!r}"
            continue
        roster = duties.read(now)
        said = Said(words.of_alarm(alarm))
        message_id = f"alarm {name}"
        same = identity(message_id, [], None)
        trouble = Trouble(groups[topic], message_id, same, said, os.environ["ENV_TYPE"])
        told.append({"alarm": name} | escalate(roster, trouble, now))
    failures.raise_for(failed, tried=len(records))
    return {"escalations": told}
