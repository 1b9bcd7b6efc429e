"""The phone escalation: API Gateway, both functions, the table's stream, MariaDB, played phones."""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from playwright.sync_api import expect
from twilio.request_validator import RequestValidator

import lifecycle
from phone_escalation.rotation import LEASE
from stack import ROOT, TWILIO_ACCOUNT_SID
from tests.support import until

pytestmark = pytest.mark.usefixtures("quiet", "no_faults")
AOI, REN, EMMA = "+819000000001", "+819000000002", "+819000000003"
REHEARSAL = {"+819000000091", "+819000000092"}
NOBODY = {"ring": "no-answer"}
FIRST, SECOND, THIRD = (AOI, "佐藤 葵", "ja"), (REN, "鈴木 蓮", "ja"), (EMMA, "Emma Tanaka", "en")


@dataclass
class Phones:
    """The escalation as its callers have it, and the phones as their owners do."""

    laptop: object
    base: str
    key: str
    numbers: object

    def group(self, *members, rounds=1, **columns):
        """Make a group of these members; returns its id."""
        group_id = f"group-{next(self.numbers)}"
        row = {"group_id": group_id, "name": "試験", "rounds": rounds, "valid_from": "2026-01-01"}
        # A phone rings for as long as it may: a test that is slow on a busy machine still answers.
        rows = [("monitor_group", row | {"ring_timeout": 120} | columns)]
        for position, (number, name, language) in enumerate(members or [FIRST, SECOND], 1):
            member = {"group_id": group_id, "position": position, "name": name}
            member |= {"phone_number": number, "language": language, "valid_from": "2026-01-01"}
            rows.append(("group_member", member))
        self.insert(*rows)
        return group_id

    def insert(self, *rows):
        with self.laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
            for table, row in rows:
                marks = ", ".join(["%s"] * len(row))
                sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                cursor.execute(sql, [*row.values()])
            connection.commit()

    def post(self, group, key=None, **fields):
        fields = fields or {"messageId": "disk_full", "variableMessage": ["db-1", "95"]}
        headers = {"x-api-key": key or self.key}
        url = f"{self.base}/phonecall/{group}"
        return requests.post(url, json=fields, headers=headers, timeout=30)

    def call(self, group, **fields):
        answer = self.post(group, **fields)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def standing(self, told):
        headers = {"x-api-key": self.key}
        answer = requests.get(told["status_url"], headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, told):
        """Wait until an escalation is over; return where it stands."""
        found = {}

        def over():
            found.update(self.standing(told))
            return found["state"] != "calling"

        until(over)
        return found

    def over(self, told):
        """Wait until nobody is on the line any more, and nothing is to be done."""
        until(lambda: "sweep" not in self.item(told))

    def does(self, number, *steps):
        """Say what a phone does in its next calls."""
        script = {"number": number, "do": [*steps]}
        answer = requests.post(self.sandbox("script"), json=script, timeout=10)
        assert answer.status_code == 201, answer.text

    def rings(self, number):
        """Wait until a phone rings."""
        until(lambda: (self.phone(number)["call"] or {}).get("status") == "ringing")

    def phone(self, number):
        phones = requests.get(self.sandbox("phones"), timeout=10).json()
        return next((one for one in phones if one["number"] == number), {"call": None})

    def heard(self, number):
        """Wait until all of a telling was said; return its sentences."""

        def said():
            words = (self.phone(number)["call"] or {}).get("said", [])
            return words if len(words) >= 3 else None

        return until(said)

    def act(self, number, deed, **body):
        url = self.sandbox(f"phones/{number}/{deed}")
        answer = requests.post(url, json=body or None, timeout=10)
        assert answer.status_code == 204, answer.text

    def begun(self, before):
        """Return the numbers that were called since an item of the inbox."""
        items = self.laptop.inbox(before, channel="twilio")
        return [item["body"]["to"] for item in items if item["body"]["event"] == "began"]

    def are_silent(self):
        """Hang up wherever a call is; say whether there was none, and no escalation goes on."""
        busy = [p for p in requests.get(self.sandbox("phones"), timeout=10).json() if p["call"]]
        for phone in busy:
            deed = "decline" if phone["call"]["status"] == "ringing" else "hangup"
            requests.post(self.sandbox(f"phones/{phone['number']}/{deed}"), timeout=10)
        looked_after = self.laptop.aws("dynamodb").scan(
            TableName="mimamori-local-phone_escalation",
            FilterExpression="sweep = :yes AND expires_at > :now",
            ExpressionAttributeValues={":yes": {"S": "yes"}, ":now": {"N": str(int(time.time()))}},
            ConsistentRead=True,
        )
        return not busy and not looked_after["Items"]

    def sandbox(self, path):
        return f"{self.laptop.stack.sandbox_url}/twilio/{path}"

    def webhook(self, told, group, attempt, step="0", token=None, **fields):
        """Post what Twilio would, signed with this token, or the laptop's."""
        url = f"{self.base}/phonecall/{group}/{attempt}?token={told['token']}.{step}"
        signer = RequestValidator(token or self.laptop.stack.secrets().twilio_auth_token)
        form = {"AccountSid": TWILIO_ACCOUNT_SID, **fields}
        headers = {"X-Twilio-Signature": signer.compute_signature(url, form)}
        return requests.post(url, data=form, headers=headers, timeout=30)

    def item(self, told):
        table = self.laptop.aws("dynamodb")
        key = {"token": {"S": told["token"]}}
        name = "mimamori-local-phone_escalation"
        return table.get_item(TableName=name, Key=key, ConsistentRead=True)["Item"]

    def time_passes(self, told):
        """Make all that a session waits for due, as if minutes had gone by."""
        table = self.laptop.aws("dynamodb")

        def let_pass():
            item = self.item(told)
            places = range(len(item["rotation"]["M"]["attempts"]["L"]))
            values = {":ago": {"N": "1000"}, ":version": item["version"]}
            try:
                table.update_item(
                    TableName="mimamori-local-phone_escalation",
                    Key={"token": item["token"]},
                    UpdateExpression="SET due_at = :ago, "
                    + ", ".join(f"rotation.attempts[{place}].due_at = :ago" for place in places),
                    ConditionExpression="version = :version",
                    ExpressionAttributeValues=values,
                )
            except table.exceptions.ConditionalCheckFailedException:
                return False  # a function has written meanwhile
            return True

        until(let_pass)


@pytest.fixture(scope="module")
def phones(laptop):
    key = laptop.make("phone-key", "CALLER=zabbix").stdout.strip()
    base = laptop.make("phone-url").stdout.strip()
    return Phones(laptop, base, key, itertools.count(1))


@pytest.fixture(autouse=True)
def silence(phones):
    """No escalation goes on, no phone rings, and no script is left."""
    yield
    left = requests.get(phones.sandbox("script"), timeout=10).json()
    requests.delete(phones.sandbox("script"), timeout=10)
    until(phones.are_silent)
    assert left == {}


@pytest.fixture
def stranger(phones):
    """A phone of its own: what is looked up at Twilio finds no call of another test."""
    return f"+8190000010{next(phones.numbers):02}"


def outcomes(standing):
    return [(one["name"], one["outcome"]) for one in standing["attempts"]]


def test_nobody_answers_then_the_second_acknowledges(phones):
    group = phones.group()
    before = phones.laptop.newest()
    phones.does(AOI, NOBODY)
    told = phones.call(group)
    phones.rings(REN)
    phones.act(REN, "answer")
    said = phones.heard(REN)
    assert "試験、本番環境" in said[0]
    assert said[1] == "db-1のディスク使用率が95パーセントです。"
    assert "2回目" in said[2]
    phones.act(REN, "press", digits="1")
    standing = phones.ended(told)
    assert standing["state"] == "acknowledged"
    assert standing["acknowledged_by"] == "鈴木 蓮"
    assert outcomes(standing) == [("佐藤 葵", "no answer"), ("鈴木 蓮", "acknowledged")]
    until(lambda: phones.phone(REN)["call"] is None)
    requests.post(phones.sandbox("clock"), json={"advance": 3600}, timeout=30)
    phones.laptop.answer("phone_sweep")
    assert phones.begun(before) == [AOI, REN]


def test_in_the_browser_the_phone_is_answered_and_key_1_pressed(phones, look):
    before = phones.laptop.newest()
    told = phones.call(phones.group())
    page = look(SimpleNamespace(url=phones.laptop.stack.sandbox_url))
    phone = f"#phone-{AOI[1:]}"
    page.click(f"{phone}-answer", timeout=20_000)
    expect(page.locator(f"{phone}.gathering")).to_be_visible(timeout=20_000)
    page.keyboard.press("1")
    assert phones.ended(told)["acknowledged_by"] == "佐藤 葵"
    until(lambda: phones.phone(AOI)["call"] is None)
    # The call is over; what was said in it is in the inbox, and stays on the card.
    (call,) = [
        item["body"]
        for item in phones.laptop.inbox(before, channel="twilio")
        if item["body"]["event"] == "ended"
    ]
    assert call["pressed"] == ["1"]
    assert call["said"][1] == "db-1のディスク使用率が95パーセントです。"
    assert "佐藤 葵さんの対応として記録しました" in call["said"][-1]
    expect(page.locator(f"{phone}-from")).to_contain_text("last call", timeout=20_000)
    expect(page.locator(f"{phone}-said .spoken")).to_have_text(call["said"])


def test_busy_is_the_same_once_more_then_the_next_and_at_the_end_exhausted(phones):
    group = phones.group(FIRST, THIRD, slack_channel="C0123456789")
    before = phones.laptop.newest()
    phones.does(AOI, {"ring": "busy"}, {"ring": "busy"})
    phones.does(EMMA, {"ring": "voicemail"})
    told = phones.call(group, messageId="host_down", variableMessage="web <1> & 'co'")
    assert phones.heard(EMMA)[1] == "web <1> & 'co' does not answer."
    # A voicemail is nobody: it presses no key, however often it is told.
    requests.post(phones.sandbox("clock"), json={"advance": 60}, timeout=30)
    standing = phones.ended(told)
    assert standing["state"] == "exhausted"
    assert [one["outcome"] for one in standing["attempts"]] == ["busy", "busy", "no key"]
    assert phones.begun(before) == [AOI, AOI, EMMA]
    (post,) = until(lambda: phones.laptop.inbox(before, channel="slack"))
    assert "誰も対応していません" in post["body"]["text"]
    metric = phones.laptop.aws("cloudwatch").list_metrics(
        Namespace="Mimamori", MetricName="PhoneEscalationExhausted"
    )["Metrics"]
    told = [{d["Name"]: d["Value"] for d in m["Dimensions"]} for m in metric]
    assert {"Environment": "local"} in told
    assert {"Environment": "local", "Group": group} in told


def test_the_same_alert_joins(phones):
    group = phones.group()
    before = phones.laptop.newest()
    first = phones.call(group)
    phones.rings(AOI)
    again = [phones.call(group) for _ in range(2)]
    assert {one["token"] for one in again} == {first["token"]}
    assert again[-1]["alerts"] == 3
    phones.act(AOI, "answer")
    assert "アラートが3件" in phones.heard(AOI)[2]
    phones.act(AOI, "press", digits="1")
    phones.ended(first)
    # Who has just acknowledged is not rung anew.
    late = phones.call(group)
    assert (late["joined"], late["state"]) == (True, "acknowledged")
    assert phones.begun(before) == [AOI]


def test_another_alert_is_told_in_the_same_call_and_what_comes_later_rings_who_took_it(phones):
    def host(name):
        return phones.call(group, messageId="host_down", variableMessage=name)

    group = phones.group(FIRST, SECOND)
    before = phones.laptop.newest()
    phones.does(AOI, NOBODY)
    first, second = host("web-1"), host("web-2")
    assert (first["token"], second["alerts"]) == (second["token"], 2)
    phones.rings(REN)
    phones.act(REN, "answer")
    until(lambda: phones.phone(REN)["call"]["gathering"])
    # While Ren listens another one comes: key 1 takes what was told, and that one is told next.
    third = host("web-3")
    assert third["token"] == first["token"]
    until(lambda: len((phones.phone(REN)["call"] or {}).get("said", [])) >= 5)
    said = phones.phone(REN)["call"]["said"]
    assert [said[1], said[3]] == ["web-1が応答していません。", "web-2が応答していません。"]
    assert not any("web-3" in text for text in said)
    phones.act(REN, "press", digits="1")
    until(lambda: any("web-3" in text for text in phones.phone(REN)["call"]["said"]))
    until(lambda: phones.phone(REN)["call"]["gathering"])
    states = {one["text"][:5]: one["state"] for one in phones.standing(first)["each_alert"]}
    assert states == {"web-1": "acknowledged", "web-2": "acknowledged", "web-3": "calling"}
    phones.act(REN, "press", digits="1")
    standing = phones.ended(first)
    assert {one["acknowledged_by"] for one in standing["each_alert"]} == {"鈴木 蓮"}
    phones.over(first)
    # The same alerts ring nobody; another one rings who took these, before anybody else.
    assert host("web-2")["joined"]
    phones.does(REN, {"answer": ["1"]})
    assert phones.ended(host("web-4"))["acknowledged_by"] == "鈴木 蓮"
    assert phones.begun(before) == [AOI, REN, REN]


def test_the_same_alert_after_exhaustion_rings_anew(phones):
    group = phones.group(FIRST)
    phones.does(AOI, NOBODY, NOBODY)
    first = phones.call(group)
    assert phones.ended(first)["state"] == "exhausted"
    second = phones.call(group)
    assert second["token"] != first["token"]
    assert phones.ended(second)["state"] == "exhausted"


def test_a_burst_rings_one_phone(phones):
    group = phones.group()
    before = phones.laptop.newest()
    with ThreadPoolExecutor(20) as pool:
        tokens = {one["token"] for one in pool.map(lambda _: phones.call(group), range(40))}
    assert len(tokens) == 1
    phones.rings(AOI)
    phones.act(AOI, "decline")
    phones.rings(AOI)
    phones.act(AOI, "answer")
    until(lambda: phones.phone(AOI)["call"]["gathering"])
    phones.act(AOI, "press", digits="1")
    until(lambda: phones.phone(AOI)["call"] is None)
    assert phones.begun(before) == [AOI, AOI]


def test_who_presses_late_hears_who_was_first_and_a_webhook_twice_changes_nothing(phones):
    group = phones.group()
    told = phones.call(group)
    phones.rings(AOI)
    sid = phones.phone(AOI)["call"]["sid"]
    # Aoi's last word comes, though she is on the line still: Ren is called.
    lost = {"CallSid": sid, "CallStatus": "no-answer"}
    for _ in range(2):
        assert phones.webhook(told, group, 1, "status", **lost).status_code == 204
    phones.rings(REN)
    rens = phones.phone(REN)["call"]["sid"]
    calls = [one["name"] for one in phones.standing(told)["attempts"]]
    assert calls == ["佐藤 葵", "鈴木 蓮"]
    beginning = {"CallSid": sid, "CallStatus": "in-progress"}
    assert "Gather" in phones.webhook(told, group, 1, "0", **beginning).text
    pressed = beginning | {"Digits": "1"}
    first, second = (phones.webhook(told, group, 1, "0", **pressed).text for _ in range(2))
    assert "ありがとうございます。佐藤 葵さん" in first
    assert first == second
    # What rings still is hung up.
    until(lambda: phones.phone(REN)["call"] is None)
    late = phones.webhook(told, group, 2, "0", CallSid=rens, Digits="1")
    assert "すでに佐藤 葵さんが対応しています" in late.text
    other = phones.webhook(told, group, 2, "0", CallSid="CAother", Digits="1")
    assert "Say" not in other.text
    standing = phones.ended(told)
    assert standing["acknowledged_by"] == "佐藤 葵"
    # Whoever tells it first: who hung up, or Twilio.
    name, outcome = outcomes(standing)[1]
    assert name == "鈴木 蓮"
    assert outcome in ("withdrawn", "cancelled")
    phones.act(AOI, "decline")


@pytest.mark.parametrize(
    ("digits", "outcome"), [("2", "passed on"), ("9", "no key")], ids=["pass on", "another key"]
)
def test_passed_on(phones, digits, outcome):
    group = phones.group()
    phones.does(AOI, {"answer": [digits] * 2})
    phones.does(REN, {"answer": ["3", "1"]})
    standing = phones.ended(phones.call(group))
    assert outcomes(standing) == [("佐藤 葵", outcome), ("鈴木 蓮", "acknowledged")]


def test_forged_and_expired_webhooks_change_nothing(phones):
    group = phones.group()
    told = phones.call(group)
    phones.rings(AOI)
    sid = phones.phone(AOI)["call"]["sid"]
    until(lambda: phones.standing(told)["attempts"][0]["state"] == "ringing")
    before = phones.standing(told)
    pressed = {"CallSid": sid, "Digits": "1"}
    refused = [
        phones.webhook(told, group, 1, token="guessed", **pressed),
        phones.webhook(told, "database", 1, **pressed),
        phones.webhook({"token": "unknown"}, group, 1, **pressed),
        phones.webhook(told, group, 7, **pressed),
        phones.webhook(told, group, 0, **pressed),
        requests.post(f"{phones.base}/phonecall/{group}/1?token={told['token']}.0", timeout=10),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    # When it is looked after may change: the phone's own status comes.
    assert phones.standing(told) == before
    phones.laptop.aws("dynamodb").update_item(
        TableName="mimamori-local-phone_escalation",
        Key={"token": {"S": told["token"]}},
        UpdateExpression="SET expires_at = :ago",
        ExpressionAttributeValues={":ago": {"N": "1000"}},
    )
    assert phones.webhook(told, group, 1, **pressed).status_code == 403
    phones.act(AOI, "decline")


def test_the_other_auth_token_signs_too_while_it_is_replaced(phones):
    group = phones.group()
    told = phones.call(group)
    phones.rings(AOI)
    sid = phones.phone(AOI)["call"]["sid"]
    fields = {"CallSid": sid, "CallStatus": "ringing"}
    assert phones.webhook(told, group, 1, "status", token="new", **fields).status_code == 403
    done = phones.laptop.make("secret", "NAME=TWILIO_AUTH_TOKEN_SECONDARY", stdin="new")
    assert done.returncode == 0, done.stderr
    # The tokens are remembered for some seconds.
    until(lambda: phones.webhook(told, group, 1, "status", token="new", **fields).ok)
    phones.act(AOI, "answer")
    until(lambda: phones.phone(AOI)["call"]["gathering"])
    phones.act(AOI, "press", digits="1")
    assert phones.ended(told)["state"] == "acknowledged"


def test_the_database_is_down_and_the_phone_rings_all_the_same(phones):
    group = phones.group()
    phones.does(AOI, {"answer": ["1"]}, {"answer": ["1"]})
    phones.ended(phones.call(group))
    lifecycle.control(phones.laptop.stack, "stop", "mariadb")
    try:
        told = phones.call(group, messageId="host_down", variableMessage="db-1")
    finally:
        lifecycle.control(phones.laptop.stack, "start", "mariadb")
    assert phones.ended(told)["acknowledged_by"] == "佐藤 葵"


def test_without_a_copy_it_says_that_the_database_is_down(phones):
    table = {"TableName": "mimamori-local-phone_escalation", "Key": {"token": {"S": "roster"}}}
    kept = phones.laptop.aws("dynamodb").get_item(**table)["Item"]
    phones.laptop.aws("dynamodb").delete_item(**table)
    lifecycle.control(phones.laptop.stack, "stop", "mariadb")
    try:
        answer = phones.post("database")
    finally:
        lifecycle.control(phones.laptop.stack, "start", "mariadb")
        phones.laptop.aws("dynamodb").put_item(TableName=table["TableName"], Item=kept)
    assert answer.status_code == 503
    assert answer.json()["message"] == "the tables cannot be read: try again"
    assert "Retry-After" in answer.headers


def test_twilio_says_429_then_takes_it(phones):
    group = phones.group(FIRST)
    phones.does(AOI, {"answer": ["1"]})
    phones.laptop.fault(service="twilio-calls", status=429)
    assert phones.ended(phones.call(group))["state"] == "acknowledged"


@pytest.mark.parametrize("fault", [{"status": 500}, {"delay": 15}], ids=["500", "time-out"])
def test_twilio_did_not_call_and_said_nothing_clear(phones, stranger, fault):
    """The call is looked up, not found, and made when the claim has run out."""
    group = phones.group((stranger, "見知らぬ人", "ja"))
    before = phones.laptop.newest()
    phones.laptop.fault(service="twilio-calls", **fault)
    told = phones.call(group)
    until(lambda: phones.standing(told)["attempts"][0]["state"] == "dialling")
    until(lambda: "perhaps dialled" in phones.laptop.make("logs", "FUNCTION=phone_callback").stdout)
    phones.laptop.answer("phone_sweep")
    assert phones.begun(before) == []
    phones.does(stranger, {"answer": ["1"]})
    phones.time_passes(told)
    phones.laptop.answer("phone_sweep")
    assert phones.ended(told)["state"] == "acknowledged"
    assert phones.begun(before) == [stranger]


def test_twilio_called_and_its_answer_got_lost(phones, stranger):
    """The call is found, and nobody is called twice."""
    group = phones.group((stranger, "見知らぬ人", "ja"))
    before = phones.laptop.newest()
    phones.laptop.fault(service="twilio-calls", delay=15, handled=True)
    told = phones.call(group)
    phones.rings(stranger)
    until(lambda: phones.standing(told)["attempts"][0]["state"] == "ringing")
    phones.act(stranger, "answer")
    until(lambda: phones.phone(stranger)["call"]["gathering"])
    phones.act(stranger, "press", digits="1")
    assert phones.ended(told)["state"] == "acknowledged"
    assert phones.begun(before) == [stranger]


def test_killed_between_the_claim_and_the_dial(phones, stranger):
    """A claim that nobody will ever fulfil, as a killed function leaves it."""
    group = phones.group((stranger, "見知らぬ人", "ja"))
    before = phones.laptop.newest()
    with phones.laptop.denied("phone_callback", "dynamodb:UpdateItem"):
        told = phones.call(group)
        until(lambda: "could not dial" in phones.laptop.make("logs").stdout)
        # While nobody else may write: the stream tries again as soon as it can.
        phones.laptop.aws("dynamodb").update_item(
            TableName="mimamori-local-phone_escalation",
            Key={"token": {"S": told["token"]}},
            UpdateExpression=(
                "SET rotation.attempts[0].phase = :dialling, rotation.attempts[0].due_at = :lease, "
                "version = version + :one REMOVE act"
            ),
            ExpressionAttributeValues={
                ":dialling": {"S": "dialling"},
                ":lease": {"N": str(int(time.time()) + LEASE)},
                ":one": {"N": "1"},
            },
        )
    phones.does(stranger, {"answer": ["1"]})
    phones.time_passes(told)
    phones.laptop.answer("phone_sweep")
    assert phones.ended(told)["state"] == "acknowledged"
    assert phones.begun(before) == [stranger]


def test_a_last_word_that_never_came_is_asked_for(phones):
    group = phones.group(FIRST, SECOND)
    told = phones.call(group)
    phones.rings(AOI)
    until(lambda: phones.standing(told)["attempts"][0]["state"] == "ringing")
    phones.does(REN, {"answer": ["1"]})

    def has_moved_on():
        # The word that it rings may come late, and gives it time once more.
        phones.time_passes(told)
        phones.laptop.answer("phone_sweep")
        return phones.standing(told)["attempts"][0]["state"] == "over"

    until(has_moved_on)
    standing = phones.ended(told)
    assert standing["acknowledged_by"] == "鈴木 蓮"
    assert phones.phone(AOI)["call"] is None


def test_a_rehearsal_rings_no_person(phones):
    event = (ROOT / "functions/phone_escalation/events/phone_call/call.json").read_text()
    group = phones.group()
    proxy = {
        "httpMethod": "POST",
        "pathParameters": {"groupId": group},
        "headers": {},
        "multiValueQueryStringParameters": None,
        "body": json.dumps({k: v for k, v in json.loads(event).items() if k != "groupId"}),
        "stageVariables": {"env_type": "verification"},
    }
    before = phones.laptop.newest()
    for number in REHEARSAL:
        phones.does(number, NOBODY)
    answer = phones.laptop.answer("phone_call", **proxy)
    assert answer["statusCode"] == 202
    assert phones.ended(json.loads(answer["body"]))["env_type"] == "verification"
    assert set(phones.begun(before)) == REHEARSAL


def test_what_is_refused_says_why(phones):
    group = phones.group(escalations_per_hour=1)
    lately = (datetime.now() - timedelta(days=30)).isoformat()  # noqa: DTZ005
    ended = phones.group(valid_to=lately)
    phones.does(AOI, {"answer": ["1"]})
    told = phones.call(group)
    phones.ended(told)
    phones.over(told)
    disk, host = {"messageId": "disk_full"}, {"messageId": "host_down", "variableMessage": "x"}
    cases = [
        (400, "messageId: missing", {"variableMessage": ["x"]}, group),
        (400, "variableMessage: got ['x'], takes 2", disk | {"variableMessage": "x"}, group),
        (404, "there is no such message", {"messageId": "nothing"}, group),
        (404, "there is no such group", host, "nobody"),
        (409, "monitor_group (", host, ended),
        (429, "escalations of this hour", host, group),
    ]
    for status, words, fields, of in cases:
        answer = phones.post(of, **fields)
        assert (answer.status_code, words in answer.json()["message"]) == (status, True), (
            answer.text
        )
    wrong = requests.get(
        f"{phones.base}/phonecall/{group}?token=x", headers={"x-api-key": phones.key}, timeout=10
    )
    assert wrong.status_code == 404
    assert phones.post(group, key="wrong").status_code == 403
    phones.laptop.make("phone-key", "CALLER=nobody").stderr.index("there is efk, zabbix")


def test_two_rows_for_one_place_ring_both_and_slack_hears_of_it(phones):
    """The roster of the night has a mistake, and the text was entered twice."""
    group = phones.group(FIRST, slack_channel="C0123456789")
    both = {"position": 1, "name": "Emma Tanaka", "phone_number": EMMA, "valid_from": "2026-02-01"}
    phones.insert(
        ("group_member", both | {"group_id": group, "language": "en"}),
        ("twilio_message", {"message_id": group, "text": "old", "valid_from": "2026-01-01"}),
        ("twilio_message", {"message_id": group, "text": "新しい。", "valid_from": "2026-02-01"}),
    )
    before = phones.laptop.newest()
    phones.does(EMMA, NOBODY)
    phones.does(AOI, {"answer": ["1"]})
    standing = phones.ended(phones.call(group, messageId=group))
    assert standing["text"] == "新しい。"
    assert outcomes(standing) == [("Emma Tanaka", "no answer"), ("佐藤 葵", "acknowledged")]
    (post,) = until(lambda: phones.laptop.inbox(before, channel="slack"))
    assert "group_member rows" in post["body"]["text"]
    assert "twilio_message rows" in post["body"]["text"]


def test_a_callers_throttle(phones):
    """The caller efk may have five at once."""
    key = phones.laptop.make("phone-key", "CALLER=efk").stdout.strip()

    def some_are_refused():
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: phones.post("nobody", key=key), range(20)))
        assert all("message" in answer.json() for answer in answers)
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {404, 429}
        return statuses == {404, 429}

    # A burst that takes long is refilled meanwhile.
    until(some_are_refused)


def test_a_callers_quota(phones):
    apigateway = phones.laptop.aws("apigateway")
    (plan,) = [one for one in apigateway.get_usage_plans()["items"] if one["name"].endswith("efk")]
    stage = plan["apiStages"][0]
    mine = apigateway.create_usage_plan(
        name="of-a-test", apiStages=[stage], quota={"limit": 2, "period": "DAY"}
    )
    key = apigateway.create_api_key(name="of-a-test", enabled=True)
    apigateway.create_usage_plan_key(usagePlanId=mine["id"], keyId=key["id"], keyType="API_KEY")
    answers = [phones.post("nobody", key=key["value"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert answers[-1].json() == {"message": "Limit Exceeded"}


def test_an_alarm_rings_and_its_end_does_not(phones):
    laptop = phones.laptop
    topics = json.loads(
        laptop.shell("terraform -chdir=terraform output -json phone_escalation").stdout
    )["alarm_topics"]
    before = laptop.newest()
    phones.does(AOI, {"answer": ["1"]})
    cloudwatch = laptop.aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="db-cpu",
        AlarmDescription="CPU of the database",
        Namespace="OfATest",
        MetricName="CPU",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=90,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topics["database"]],
        OKActions=[topics["database"]],
    )
    for state in ("ALARM", "OK"):
        cloudwatch.set_alarm_state(AlarmName="db-cpu", StateValue=state, StateReason="99 > 90")
    ended = until(
        lambda: [
            item["body"]
            for item in laptop.inbox(before, channel="twilio")
            if item["body"]["event"] == "ended"
        ]
    )
    assert any(
        "アラーム db-cpu. 99 > 90. CPU of the database." in text for text in ended[0]["said"]
    )
    assert phones.begun(before) == [AOI]


def test_an_alarm_that_lambda_gave_up_is_phoned_and_a_failed_check_is_told(phones):
    """The laptop's Lambda sends nothing to a destination: what AWS would send is put there."""
    laptop = phones.laptop
    sqs = laptop.aws("sqs")
    queue = sqs.get_queue_url(QueueName="mimamori-local-phone-failed")["QueueUrl"]
    alarm = {"AlarmName": "lost", "NewStateValue": "ALARM", "NewStateReason": "99 > 90"}
    topic = "arn:aws:sns:ap-northeast-1:000000000000:mimamori-local-phone-database"
    records = [{"Sns": {"TopicArn": topic, "Message": json.dumps(alarm)}}]
    before = laptop.newest()
    phones.does(AOI, {"answer": ["1"]})
    for payload in ({"Records": records}, {"check": True}):
        error = {"errorMessage": "1 of 12 failed: group_member rows 5 and 6"}
        record = {"requestPayload": payload, "responsePayload": error}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(record))

    def all_are_done():
        laptop.answer("phone_sweep")
        posts = laptop.inbox(before, channel="slack")
        return posts if posts and phones.begun(before) else None

    (post,) = until(all_are_done)
    assert "group_member rows 5 and 6" in post["body"]["text"]
    assert phones.begun(before) == [AOI]
    ended = until(
        lambda: [
            item["body"]
            for item in laptop.inbox(before, channel="twilio")
            if item["body"]["event"] == "ended"
        ]
    )
    assert any("アラーム lost. 99 > 90." in text for text in ended[0]["said"])


def test_the_check_names_the_rows_of_next_month(phones):
    laptop = phones.laptop
    event = Path("functions/phone_escalation/events/phone_call/check.json")
    for table, last in (("twilio_message", 5), ("group_member", 5), ("monitor_group", 2)):
        with laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id > {last}")
            connection.commit()
    assert laptop.make("invoke", "FUNCTION=phone_call", f"EVENT={event}").returncode == 0
    soon = (datetime.now() + timedelta(days=30)).isoformat()  # noqa: DTZ005
    member = {"group_id": "web", "position": 2, "name": "x", "phone_number": "+819000000009"}
    phones.insert(("group_member", member | {"valid_from": soon}))
    done = laptop.make("invoke", "FUNCTION=phone_call", f"EVENT={event}")
    assert done.returncode != 0
    assert "group_member rows 5 and " in done.stderr
    assert "web 2: valid at the same time" in done.stderr
