"""What Lambda gave up: runs of phone_call that failed, each a message of a queue.

An alarm is tried again each minute while it is young, and then told in Slack and counted: it phones
nobody any more. The daily check of the tables is told at once.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

from common import aws, cloudwatch, parameters
from common.slack import Slack
from phone_escalation import words
from phone_escalation.dialler import suites_language

# An alarm is tried again for so many seconds.
YOUNG = 15 * 60
# A message is looked at again after so many seconds.
HIDDEN = 45
# What one message may take, in milliseconds.
NEEDED = 25_000
SPOKEN = 10
# Slack takes more; the rest is in the log of phone_call.
MOST = 1500

log = logging.getLogger(__name__)


def look(context: Any) -> tuple[list[str], dict[str, object]]:
    """Look at what failed, as far as time allows: return what was done, and what went wrong, by id.

    A message that goes wrong comes again in the next minute.
    """
    done: list[str] = []
    failed: dict[str, object] = {}
    for message in _messages(context):
        name = f"failed run {message['MessageId'][:8]}"
        try:
            said = _one(message)
        except Exception as error:  # noqa: BLE001 (each is named by the caller)
            failed[name] = error
        else:
            done.append(said)
    return done, failed


def _messages(context: Any) -> Iterator[dict[str, Any]]:
    while context.get_remaining_time_in_millis() >= NEEDED:
        answer = aws.client("sqs").receive_message(
            QueueUrl=os.environ["FAILED_QUEUE_URL"],
            MessageSystemAttributeNames=["SentTimestamp"],
            VisibilityTimeout=HIDDEN,
        )
        if not answer.get("Messages"):
            return
        yield from answer["Messages"]


def _one(message: Mapping[str, Any]) -> str:
    record = json.loads(message["Body"])
    asked = record["requestPayload"]
    reason = str((record.get("responsePayload") or {}).get("errorMessage", "no answer"))
    sent_at = int(message["Attributes"]["SentTimestamp"]) // 1000
    if "Records" not in asked:
        text = words.failed_check(reason[:MOST], suites_language())
        _tell("PhoneRosterProblem", text)
        said = "told of a failed check"
    elif error := _again(asked):
        if time.time() - sent_at < YOUNG:
            log.warning("an alarm cannot be phoned yet", extra={"reason": error})
            return "left an alarm for the next minute"
        alarms = [_shown(one)[:MOST] for one in asked["Records"]]
        text = words.lost_alarm(alarms, error[:MOST], suites_language())
        _tell("PhoneAlarmLost", text)
        said = "told of a lost alarm"
    else:
        said = "phoned an alarm"
    aws.client("sqs").delete_message(
        QueueUrl=os.environ["FAILED_QUEUE_URL"], ReceiptHandle=message["ReceiptHandle"]
    )
    return said


def _again(asked: Mapping[str, Any]) -> str | None:
    """Run phone_call again; return what went wrong. What was phoned by then joins."""
    answer = aws.client("lambda").invoke(
        FunctionName=os.environ["PHONE_CALL"], Payload=json.dumps(asked)
    )
    if "FunctionError" not in answer:
        return None
    told = json.loads(answer["Payload"].read())
    return str(told.get("errorMessage", "no answer"))


def _shown(record: Mapping[str, Any]) -> str:
    text = str(record["Sns"]["Message"])
    try:
        alarm = json.loads(text)
        return f"{alarm['AlarmName']}: {alarm.get('NewStateReason', '')}"
    except (ValueError, KeyError, TypeError):
        return text


def _tell(metric: str, text: str) -> None:
    log.error("%s: %s", metric, text)
    channel = os.environ["SLACK_CHANNEL"]
    if channel:
        found = parameters.remembered(parameters.path(None, None), ["SLACK_BOT_TOKEN"])
        slack = Slack(found["SLACK_BOT_TOKEN"], deadline=monotonic() + SPOKEN)
        slack.post(channel, text)
    cloudwatch.count(metric)
