from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from phone_escalation import rotation, words
from phone_escalation import twiml as phone_twiml
from sandbox import twiml
from tests.unit.phone_escalation.samples import (
    DISK,
    MEMBERS,
    NOW,
    a_session,
    acknowledge,
    an_alert,
    started,
)

TOKYO = ZoneInfo("Asia/Tokyo")
AWS = {
    "AlarmName": "db-cpu",
    "AlarmDescription": "The database is busy.",
    "AWSAccountId": "000000000000",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold Crossed: 1 datapoint",
    "Region": "Asia Pacific (Tokyo)",
    "Trigger": {"MetricName": "CPU", "Dimensions": [{"name": "Instance", "value": "db-1"}]},
}


def at(number):
    """The sample session, with attempt `number` on the line."""
    run = started()
    for one in range(1, number):
        run = rotation.ended(run, one, "no answer", NOW)
    return a_session(rotation=rotation.tell(run, number, 5))


def about(session, **texts):
    """The session, with other texts of its alert."""
    return replace(session, alerts={DISK: an_alert(**texts)})


def test_the_telling_in_japanese():
    assert words.telling(at(1), 1) == [
        ("ja-JP", "見守りからの緊急連絡です。データベース、本番環境。"),
        ("ja-JP", "ディスクが一杯です。"),
        (
            "ja-JP",
            (
                "これは1回目の発信です。 対応する場合は1、次の担当者に回す場合は2、"
                "もう一度聞く場合は3を押してください。"
            ),
        ),
    ]


def test_the_telling_in_english_of_the_third_of_several_alerts():
    (_, opening), (voice, text), (_, keys) = words.telling(replace(at(3), repeats={DISK: 2}), 3)
    assert opening == "This is an urgent call from Mimamori. データベース, 本番環境."
    assert (voice, text) == ("en-US", "The disk is full.")
    assert keys.startswith("There are 3 alerts like this. This is call number 3. To take it,")


def several(*texts):
    """The sample session about so many alerts, and the first attempt is told of them."""
    alerts = {str(n): an_alert(str(n), ja=text) for n, text in enumerate(texts)}
    run = replace(started(), waiting=tuple(alerts))
    return a_session(alerts=alerts, rotation=rotation.tell(run, 1, 5))


def test_several_alerts_are_told_each_with_its_text():
    session = replace(several("甲。", "乙。", "丙。"), repeats={"0": 1})
    assert [text for _, text in words.telling(session, 1)] == [
        "見守りからの緊急連絡です。データベース、本番環境。",
        "甲。",
        "同じアラートが2件あります。 ほかに2件あります。",
        "乙。",
        "丙。",
        (
            "これは1回目の発信です。 対応する場合は1、次の担当者に回す場合は2、"
            "もう一度聞く場合は3を押してください。"
        ),
    ]


def test_a_key_that_means_nothing_is_answered():
    told = words.telling(at(1), 1, unknown=True)
    assert told[0][1].startswith("そのキーは使えません。 見守りからの")


def test_what_is_too_much_for_one_telling_is_announced():
    session = several(*"甲乙丙丁戊己庚")
    first = "".join(text for _, text in words.telling(session, 1))
    assert "戊" in first
    assert "己" not in first
    assert "このあと、さらに2件あります。" in first
    run = rotation.tell(rotation.acknowledge(session.rotation, 1, 0, NOW), 1, 5)
    assert [text for _, text in words.telling(replace(session, rotation=run), 1, 1)][:3] == [
        (
            "ありがとうございます。佐藤 葵さんの対応として記録しました。 "
            "ほかに2件のアラートがあります。"
        ),
        "己",
        "庚",
    ]


def test_the_longest_of_several_texts_are_cut_and_the_others_are_whole():
    told = words.telling(several("あ" * 900, "い" * 900, "短い。"), 1)
    texts = [text for _, text in told[1:-1] if text[0] in "あい短"]
    assert sum(map(len, texts)) <= words.MOST
    assert "短い。" in texts
    assert min(len(text) for text in texts if text[0] in "あい") > 290


def test_the_report_names_what_nobody_took():
    run = rotation.acknowledge(several("甲。", "乙。").rotation, 1, 0, NOW)
    assert run.state == "acknowledged"
    session = several("甲。", "乙。")
    run = replace(session.rotation, waiting=("1",), taken=(rotation.Taken("0", 1, NOW),))
    text = words.exhausted(replace(session, rotation=run), TOKYO)
    assert ("乙。" in text, "甲。" in text) == (True, False)


@pytest.mark.parametrize(
    ("texts", "number", "voice"),
    [({"ja": "一杯"}, 3, "ja-JP"), ({"en": "full"}, 1, "en-US"), ({"en": "full"}, 3, "en-US")],
)
def test_a_message_without_the_members_language_is_told_in_its_own(texts, number, voice):
    told = words.telling(about(at(number), **texts), number)
    assert told[1] == (voice, *texts.values())
    assert {told[0][0], told[2][0]} == {words.VOICES[MEMBERS[number - 1].language]}


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        ("thanks", 1, "ありがとうございます。佐藤 葵さんの対応として記録しました。"),
        ("late", 2, "すでに佐藤 葵さんが対応しています。失礼します。"),
        ("late", 3, "佐藤 葵 has already taken it. Goodbye."),
        ("passed on", 3, "The next person will be called. Goodbye."),
        ("nobody left", 1, "連絡できる担当者はほかにいません。"),
    ],
)
def test_the_farewell(kind, number, text):
    session = at(3)
    if kind in ("thanks", "late"):
        session = replace(session, rotation=acknowledge(session.rotation, 1, NOW))
    assert [said for _, said in words.farewell(session, number, kind)] == [text]


@pytest.mark.parametrize("kind", ["thanks", "late", "passed on", "nobody left"])
@pytest.mark.parametrize("number", [1, 3])
def test_every_farewell_has_words(kind, number):
    assert words.farewell(at(3), number, kind)[0][1]


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, ""), ("字" * 4, 3, "字字…")],
)
def test_cut(text, most, expected):
    assert words.cut(text, most) == expected


@pytest.mark.parametrize(
    ("trigger", "description", "told"),
    [
        (AWS["Trigger"], AWS["AlarmDescription"], "Instance db-1. {reason} The database is busy."),
        (
            {"Dimensions": [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]},
            "忙しい。",
            "A 1, B 2. {reason} 忙しい。",
        ),
        ({"Dimensions": []}, None, "{reason}"),
        ({"Metrics": [{"Expression": "a+b"}]}, "", "{reason}"),
        (None, None, "{reason}"),
    ],
)
def test_an_alarm_in_words(trigger, description, told):
    alarm = AWS | {"Trigger": trigger, "AlarmDescription": description}
    said = words.of_alarm(alarm)
    rest = "db-cpu. " + told.format(reason="Threshold Crossed: 1 datapoint.")
    assert said == {"ja": f"アラーム {rest}", "en": f"Alarm {rest}"}


def test_a_long_alarm_is_cut():
    said = words.of_alarm(AWS | {"NewStateReason": "x" * 5000})
    assert {len(text) for text in said.values()} == {words.MOST}
    assert words.of_alarm({"AlarmName": "a"})["en"] == "Alarm a."


def test_the_report_of_exhaustion():
    run = started(MEMBERS[:1], rounds=2)
    for number in (1, 2):
        run = rotation.ended(run, number, "no answer", NOW + 60)
    session = about(a_session(rotation=run, group_name="a & b", place="<!here>"), ja="<@U1> & 一杯")
    text = words.exhausted(session, TOKYO)
    assert "(a &amp; b, &lt;!here&gt;)\n&lt;@U1&gt; &amp; 一杯\n" in text
    since = "11:13"
    assert f"{since} から 2 回電話しました" in text
    english = replace(session, rotation=replace(run, members=(MEMBERS[2],)))
    assert f"2 phone calls since {since} came to nothing." in words.exhausted(english, TOKYO)


def test_the_longest_telling_fits_twilio_and_the_time_that_a_telling_has():
    told = words.telling(about(at(1), ja=words.cut("字" * 9999)), 1)
    # Some five characters a second are spoken, a key is waited for six seconds.
    assert sum(len(text) for _, text in told) / 5 + 6 < rotation.TELLING
    assert "長いため、以下は省略しました。" in told[2][1]
    # The sandbox reads as strictly as Twilio does.
    read = twiml.read(phone_twiml.ask(told, action="x", silence="y"))
    assert "".join(say.text for say in read[0].prompts) == "".join(text for _, text in told)
