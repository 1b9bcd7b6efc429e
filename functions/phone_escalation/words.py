"""What is said on the phone, and written to Slack, in Japanese or English."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from common.mrkdwn import escaped
from phone_escalation.conversation import is_taken_by
from phone_escalation.rotation import Language
from phone_escalation.session import Session
from phone_escalation.twiml import Said

# So much fills two minutes: see rotation.TELLING. twiml.py cuts it into what one <Say> takes.
MOST = 600

CUT = "…"

VOICES: dict[Language, str] = {"ja": "ja-JP", "en": "en-US"}


@dataclass(frozen=True)
class Words:
    """The sentences of one language."""

    opening: str
    several: str
    others: str
    meanwhile: str
    further: str
    shortened: str
    unknown: str
    not_given: str
    moment: str
    attempt: str
    keys: str
    thanks: str
    late: str
    taken: str
    passed_on: str
    nobody_left: str
    exhausted: str
    warning: str
    lost_alarm: str
    failed_check: str


WORDS: dict[Language, Words] = {
    "ja": Words(
        opening="見守りからの緊急連絡です。{group}、{place}。",
        several="同じアラートが{alerts}件あります。",
        others="ほかに{count}件あります。",
        meanwhile="ほかに{count}件のアラートがあります。",
        further="このあと、さらに{count}件あります。",
        shortened="長いため、以下は省略しました。",
        unknown="そのキーは使えません。",
        not_given="指定なし",
        moment="少々お待ちください。",
        attempt="これは{attempt}回目の発信です。",
        keys="対応する場合は1、次の担当者に回す場合は2、もう一度聞く場合は3を押してください。",
        thanks="ありがとうございます。{name}さんの対応として記録しました。",
        late="すでに{name}さんが対応しています。失礼します。",
        taken="すでに{name}さんが対応しています。",
        passed_on="次の担当者に連絡します。失礼します。",
        nobody_left="連絡できる担当者はほかにいません。",
        exhausted=(
            ":rotating_light: *誰も対応していません* ({group}, {place})\n"
            "{texts}\n{since} から {attempts} 回電話しましたが、引き受けた人がいません。"
            "すぐに対応してください。"
        ),
        warning=(
            ":warning: *当番表に誤りがあります* ({group}, {place})\n{problems}\n"
            "使える行だけで電話しています。すぐに直してください。"
        ),
        lost_alarm=(
            ":rotating_light: *アラームを電話できませんでした*\n{alarms}\n{reason}\n"
            "すぐに対応してください。"
        ),
        failed_check=":warning: *当番表に誤りがあります*\n{reason}",
    ),
    "en": Words(
        opening="This is an urgent call from Mimamori. {group}, {place}.",
        several="There are {alerts} alerts like this.",
        others="{count} more:",
        meanwhile="{count} more came in.",
        further="After these there are {count} more.",
        shortened="The rest of it is left out.",
        unknown="That key means nothing.",
        not_given="not given",
        moment="One moment, please.",
        attempt="This is call number {attempt}.",
        keys=(
            "To take it, press 1. To pass it on to the next person, press 2. "
            "To hear it again, press 3."
        ),
        thanks="Thank you. It is recorded as taken by {name}.",
        late="{name} has already taken it. Goodbye.",
        taken="{name} has already taken it.",
        passed_on="The next person will be called. Goodbye.",
        nobody_left="There is nobody else to call.",
        exhausted=(
            ":rotating_light: *Nobody has acknowledged* ({group}, {place})\n"
            "{texts}\n{attempts} phone calls since {since} came to nothing. Please act at once."
        ),
        warning=(
            ":warning: *The roster has mistakes* ({group}, {place})\n{problems}\n"
            "Only the rows that are usable are phoned. Please mend them at once."
        ),
        lost_alarm=(
            ":rotating_light: *An alarm could not be phoned*\n{alarms}\n{reason}\n"
            "Please act at once."
        ),
        failed_check=":warning: *The roster has mistakes*\n{reason}",
    ),
}


def cut(text: str, most: int = MOST) -> str:
    """Shorten a text to what is worth listening to; an ellipsis says so."""
    return text if len(text) <= most else text[: most - 1] + CUT


def moment() -> list[Said]:
    """Return what is said where nothing is known of who is on the line: in every language."""
    return [(VOICES[language], own.moment) for language, own in WORDS.items()]


def telling(session: Session, number: int, batch: int = 0, *, unknown: bool = False) -> list[Said]:
    """Return what an attempt's member is told: what happened, where, how often, and the keys.

    Each alert of the batch in a text of its own; `unknown` says first that a key means nothing.
    """
    run = session.rotation
    language = run.member_of(number).language
    own = WORDS[language]
    told = run.attempts[number - 1].told
    alerts = told[batch]
    if batch:
        mine = is_taken_by(run, told[batch - 1], number)
        before = own.thanks if mine else own.taken
        name = run.member_of(number).name if mine else _taker(session, number, batch - 1)
        sentences = [before.format(name=name), own.meanwhile.format(count=len(alerts))]
    else:
        sentences = [own.opening.format(group=session.group_name, place=session.place)]
    if unknown:
        sentences.insert(0, own.unknown)
    said: list[Said] = []
    texts = [spoken(session.alerts[alert].texts, language) for alert in alerts]
    for place, (alert, (voice, text)) in enumerate(zip(alerts, _fitting(texts), strict=True)):
        if place == 1 and not batch:
            sentences.append(own.others.format(count=len(alerts) - 1))
        if sentences:
            said.append((VOICES[language], " ".join(sentences)))
        said.append((VOICES[voice], text))
        times = session.times(alert)
        sentences = [own.shortened] if text.endswith(CUT) else []
        if times > 1:
            sentences.append(own.several.format(alerts=times))
    left = sum(alert not in alerts for alert in run.waiting)
    if left:
        sentences.append(own.further.format(count=left))
    if not batch:
        sentences.append(own.attempt.format(attempt=number))
    return [*said, (VOICES[language], " ".join([*sentences, own.keys]))]


def farewell(session: Session, number: int, kind: str, batch: int = 0) -> list[Said]:
    """Return the last words to an attempt's member, by the kind of a conversation's reply."""
    run = session.rotation
    language = run.member_of(number).language
    sentences = {
        "thanks": WORDS[language].thanks,
        "late": WORDS[language].late,
        "passed on": WORDS[language].passed_on,
        "nobody left": WORDS[language].nobody_left,
    }
    name = run.member_of(number).name if kind == "thanks" else _taker(session, number, batch)
    return [(VOICES[language], sentences[kind].format(name=name))]


def exhausted(session: Session, zone: tzinfo, usual: Language = "ja") -> str:
    """Return what is posted when nobody acknowledged, in the language of the first on duty.

    Where nobody is on duty it is the `usual` one.
    """
    language = _first_language(session, usual)
    texts = [spoken(session.alerts[alert].texts, language)[1] for alert in session.rotation.waiting]
    return WORDS[language].exhausted.format(
        group=escaped(session.group_name),
        place=escaped(session.place),
        texts="\n".join(map(escaped, texts)),
        since=datetime.fromtimestamp(session.started_at, zone).strftime("%H:%M"),
        attempts=len(session.rotation.attempts),
    )


def warning(session: Session, usual: Language = "ja") -> str:
    """Return what is posted where the tables lack something, in a language as `exhausted`."""
    return WORDS[_first_language(session, usual)].warning.format(
        group=escaped(session.group_name),
        place=escaped(session.place),
        problems="\n".join(f"• {escaped(problem)}" for problem in session.problems),
    )


def lost_alarm(alarms: Sequence[str], reason: str, language: Language) -> str:
    """Return what is posted of alarms that could not be phoned; `reason` is the last error."""
    told = "\n".join(map(escaped, alarms))
    return WORDS[language].lost_alarm.format(alarms=told, reason=escaped(reason))


def failed_check(reason: str, language: Language) -> str:
    """Return what is posted of a daily check that failed."""
    return WORDS[language].failed_check.format(reason=escaped(reason))


def _first_language(session: Session, usual: Language) -> Language:
    members = session.rotation.members
    return members[0].language if members else usual


def spoken(texts: Mapping[Language, str], language: Language) -> tuple[Language, str]:
    """Return the text in a language, or else in its own."""
    found = language if language in texts else next(iter(texts))
    return found, texts[found]


def _taker(session: Session, number: int, batch: int) -> str:
    """Return the name of who took what an attempt was told, or the last of all."""
    run = session.rotation
    told = run.attempts[number - 1].told
    taken = [run.taken_by(alert) for alert in (told[batch] if told else ())]
    by = next((one.by for one in taken if one), run.acknowledged_by)
    return run.member_of(by).name if by else ""


def _fitting(texts: Sequence[tuple[Language, str]]) -> list[tuple[Language, str]]:
    """Cut the longest of the texts, where together they are longer than MOST."""
    left = MOST
    shares: dict[int, str] = {}
    for place in sorted(range(len(texts)), key=lambda place: len(texts[place][1])):
        share = left // (len(texts) - len(shares))
        shares[place] = cut(texts[place][1], share)
        left -= len(shares[place])
    return [(language, shares[place]) for place, (language, _) in enumerate(texts)]


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
    # What is cut is at the end: what it is, where and why come first.
    parts = [alarm["AlarmName"], where, alarm.get("NewStateReason"), alarm.get("AlarmDescription")]
    told = " ".join(f"{part}." if part[-1] not in ".。" else part for part in parts if part)
    return {"ja": cut(f"アラーム {told}"), "en": cut(f"Alarm {told}")}
