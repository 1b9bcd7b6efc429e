"""Once a minute, move on what is stuck: a dial or a last word that nobody heard of."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from common import aws, failures, logs
from common.events import parse
from phone_escalation import store
from phone_escalation.dialler import look_after

AT_A_TIME = 8

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload: nothing."""


def handler(event: object, context: Any) -> dict[str, Any]:
    """Look after every session that is overdue.

    Returns `{"overdue": sessions, "done": deeds}`. Raises RunFailed naming each session that could
    not be looked after; the next run tries again.
    """
    parse(Event, event)
    tokens = store.overdue(int(time.time()))
    done: list[str] = []
    failed: dict[str, object] = {}

    def one(token: str) -> list[str] | Exception:
        try:
            return look_after(token, context)
        except Exception as error:  # noqa: BLE001 (each is named at the end)
            return error

    for service in ("ssm", "cloudwatch"):
        aws.client(service)  # boto3 makes no two clients at once
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for token, outcome in zip(tokens, pool.map(one, tokens), strict=True):
            if isinstance(outcome, Exception):
                failed[f"{token[:4]}…"] = outcome
            else:
                done += outcome
    failures.raise_for(failed, tried=len(tokens))
    summary = {"overdue": len(tokens), "done": done}
    if tokens:
        log.info("moved on", extra=summary)
    return summary
