"""What is said on the phone, and written to Slack, in Japanese or English."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from common.mrkdwn import escaped
from phone_escalation.rotation import Language
from phone_escalation.session import Session
from phone_escalation.twiml import Said

# Twilio's <Say> takes 4096 characters, but so much fills two minutes: see rotation.TELLING.
MOST = 600

VOICES: dict[Language, str] = {"ja": "ja-JP", "en": "en-US"}


@dataclass(frozen=True)
class Words:
    """The sentences of one language."""

    opening: str
    several: str
    attempt: str
    keys: str
    thanks: str
    late: str
    passed_on: str
    nobody_left: str
    exhausted: str


WORDS: dict[Language, Words] = {
    "ja": Words(
        opening="見守りからの緊急連絡です。{group}、{place}。",
        several="同じアラートが{alerts}件あります。",
        attempt="これは{attempt}回目の発信です。",
        keys="対応する場合は1、次の担当者に回す場合は2、もう一度聞く場合は3を押してください。",
        thanks="ありがとうございます。{name}さんの対応として記録しました。",
        late="すでに{name}さんが対応しています。失礼します。",
        passed_on="次の担当者に連絡します。失礼します。",
        nobody_left="連絡できる担当者はほかにいません。",
        exhausted=(
            ":rotating_light: *誰も対応していません* ({group}, {place})\n"
            "{text}\n{since} から {attempts} 回電話しましたが、引き受けた人がいません。"
            "すぐに対応してください。"
        ),
    ),
    "en": Words(
        opening="This is an urgent call from Mimamori. {group}, {place}.",
        several="There are {alerts} alerts like this.",
        attempt="This is call number {attempt}.",
        keys=(
            "To take it, press 1. To pass it on to the next person, press 2. "
            "To hear it again, press 3."
        ),
        thanks="Thank you. It is recorded as taken by {name}.",
        late="{name} has already taken it. Goodbye.",
        passed_on="The next person will be called. Goodbye.",
        nobody_left="There is nobody else to call.",
        exhausted=(
            ":rotating_light: *Nobody has acknowledged* ({group}, {place})\n"
            "{text}\n{attempts} phone calls since {since} came to nothing. Please act at once."
        ),
    ),
}


def cut(text: str, most: int = MOST) -> str:
    """Shorten a text to what is worth listening to; an ellipsis says so."""
    return text if len(text) <= most else text[: most - 1] + "…"


def telling(session: Session, number: int) -> list[Said]:
    """Return what an attempt's member is told: what happened, where, how often, and the keys."""
    language = session.rotation.member_of(number).language
    own = WORDS[language]
    spoken = language if language in session.texts else next(iter(session.texts))
    further = [own.attempt.format(attempt=number), own.keys]
    if session.alerts > 1:
        further.insert(0, own.several.format(alerts=session.alerts))
    opening = own.opening.format(group=session.group_name, place=session.place)
    return [
        (VOICES[language], opening),
        (VOICES[spoken], session.texts[spoken]),
        (VOICES[language], " ".join(further)),
    ]


def farewell(session: Session, number: int, kind: str) -> list[Said]:
    """Return the last words to an attempt's member, by the kind of a conversation's reply."""
    run = session.rotation
    language = run.member_of(number).language
    by = run.member_of(run.acknowledged_by).name if run.acknowledged_by else ""
    sentences = {
        "thanks": WORDS[language].thanks,
        "late": WORDS[language].late,
        "passed on": WORDS[language].passed_on,
        "nobody left": WORDS[language].nobody_left,
    }
    return [(VOICES[language], sentences[kind].format(name=by))]


def exhausted(session: Session, zone: tzinfo) -> str:
    """Return what is posted when nobody acknowledged, in the language of the first on duty."""
    language = session.rotation.members[0].language
    spoken = language if language in session.texts else next(iter(session.texts))
    return WORDS[language].exhausted.format(
        group=escaped(session.group_name),
        place=escaped(session.place),
        text=escaped(session.texts[spoken]),
        since=datetime.fromtimestamp(session.started_at, zone).strftime("%H:%M"),
        attempts=len(session.rotation.attempts),
    )


def of_alarm(alarm: Mapping[str, Any]) -> dict[Language, str]:
    """Return what is said of a CloudWatch alarm, by language; `alarm` is SNS's JSON of it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-sns.html
    """
    trigger = alarm.get("Trigger")
    trigger = trigger if isinstance(trigger, dict) else {}
    # AWS writes name and value, others Name and Value.
    dimensions = [
        {key.lower(): value for key, value in one.items()}
        for one in trigger.get("Dimensions") or []
    ]
    where = ", ".join(f"{one.get('name')} {one.get('value')}" for one in dimensions)
    parts = [alarm["AlarmName"], alarm.get("AlarmDescription"), where, alarm.get("NewStateReason")]
    told = " ".join(f"{part}." if part[-1] not in ".。" else part for part in parts if part)
    return {"ja": cut(f"アラーム {told}"), "en": cut(f"Alarm {told}")}
