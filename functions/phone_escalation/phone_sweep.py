"""Once a minute, move on what is stuck: a dial or a last word nobody heard of, a lost alarm."""

import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from common import aws, failures, logs
from common.events import parse
from phone_escalation import failed as lost_runs
from phone_escalation import store
from phone_escalation.dialler import SPOKEN, look_after

AT_A_TIME = 8
# No session is begun with less time left, in milliseconds.
NEEDED = (SPOKEN + 5) * 1000

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload: nothing."""


def handler(event: object, context: Any) -> dict[str, Any]:
    """Look after every session that is overdue, and after runs that failed, as far as time allows.

    Returns `{"overdue": sessions, "done": deeds, "left": names}`. Raises RunFailed naming each
    session that could not be looked after. The next run tries again, also what is left.
    """
    parse(Event, event)
    tokens = store.overdue(int(time.time()))
    # In no order: what fails each minute keeps nothing else from its turn.
    random.shuffle(tokens)
    done: list[str] = []
    left: list[str] = []
    failed: dict[str, object] = {}

    def one(token: str) -> list[str] | Exception | None:
        if context.get_remaining_time_in_millis() < NEEDED:
            return None
        try:
            return look_after(token, context)
        except Exception as error:  # noqa: BLE001 (each is named at the end)
            return error

    for service in ("ssm", "cloudwatch"):
        aws.client(service)  # boto3 makes no two clients at once
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for token, outcome in zip(tokens, pool.map(one, tokens), strict=True):
            # The whole token would be a key to the session.
            name = f"{token[:4]}…"
            if outcome is None:
                left.append(name)
            elif isinstance(outcome, Exception):
                failed[name] = outcome
            else:
                done += outcome
    if left:
        log.warning("left for the next minute: %s", ", ".join(left))
    again, wrong = lost_runs.look(context)
    done += again
    failures.raise_for(failed | wrong, tried=len(tokens) + len(again) + len(wrong))
    summary = {"overdue": len(tokens), "done": done, "left": left}
    if tokens or again:
        log.info("moved on", extra=summary)
    return summary
