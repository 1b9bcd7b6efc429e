import json
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import datetime
from types import SimpleNamespace

import pymysql
import pytest

from common import mysql
from common.events import InvalidEvent
from common.failures import RunFailed
from phone_escalation import duties, rotation, store
from phone_escalation.phone_call import handler
from phone_escalation.roster import NotFound, RosterError
from tests.unit.phone_escalation.samples import (
    BASE,
    NOW,
    a_group,
    a_member,
    a_message,
    a_roster,
    acknowledge,
    an_info,
)

ROSTER = a_roster()


class FakeDatabase:
    """The tables as rows, and what the database does instead of giving them."""

    def __init__(self):
        self.roster, self.trouble, self.asked = ROSTER, None, []

    @contextmanager
    def reading(self, settings, **limits):
        if self.trouble:
            raise self.trouble
        yield SimpleNamespace(execute=self.execute, fetchall=lambda: self.found)

    def execute(self, query, values):
        self.asked.append((query, values))
        table = query.split(" FROM ")[1].split()[0]
        columns = query.removeprefix("SELECT ").split(" FROM ")[0].split(", ")
        rows = [asdict(row) for row in getattr(self.roster, table)]
        self.found = [tuple(row[column] for column in columns) for row in rows]


@pytest.fixture
def database(table, put_parameter, monkeypatch):
    for name in mysql.PARAMETERS:
        put_parameter(name, "3306" if name.endswith("PORT") else "x")
    fake = FakeDatabase()
    monkeypatch.setattr(mysql, "reading", fake.reading)
    return fake


@pytest.fixture
def call(database, context):
    """Call the API as API Gateway does; returns the status, the answer and the headers."""

    def call(query=None, body=None, *, method="POST", group="database", env_type="production"):
        event = {
            "httpMethod": method,
            "pathParameters": {"groupId": group},
            "multiValueQueryStringParameters": query,
            "headers": {"x-api-key": "k"},
            "body": body if body is None or isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
            "stageVariables": {"env_type": env_type},
        }
        answer = handler(event, context)
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"]), answer["headers"]

    return call


def over(token, at=NOW):
    """Somebody takes what waits; nobody is on the line."""
    store.change(token, at, lambda run: acknowledge(run, 1, at))


ALERT = {"messageId": "disk_full", "variableMessage": ["db-1", "95"]}
QUERY = {"messageId": ["disk_full"], "variableMessage": ["db-1", "95"]}


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (QUERY, None),
        (QUERY, ""),
        (None, ALERT),
        ({"messageId": ["disk_full"]}, {"variableMessage": ["db-1", "95"]}),
        ({"variableMessage": ["db-1", "95"]}, {"messageId": "disk_full"}),
        (QUERY, {"messageId": "host_down", "variableMessage": "x"}),
    ],
)
def test_an_escalation_is_opened(call, query, body):
    status, told, headers = call(query, body)
    assert (status, told["state"], told["joined"], told["alerts"]) == (202, "calling", False, 1)
    url = f"{BASE}/phonecall/database?token={told['token']}"
    assert told["status_url"] == headers["Location"] == url
    session = store.load(told["token"], NOW)
    assert session.alerts[told["alert"]].texts["ja"] == "db-1のディスク使用率が95パーセントです。"
    assert (session.place, session.slack_channel) == ("本番環境", "C0123456789")
    assert store.get(told["token"])["act"] == "now"


def test_a_repeat_joins(call):
    _, first, _ = call(QUERY)
    status, told, _ = call(QUERY)
    assert (status, told) == (202, first | {"joined": True, "alerts": 2})


def test_another_host_is_another_alert_and_is_told_too(call):
    _, first, _ = call(QUERY)
    other = {"messageId": "disk_full", "variableMessage": ["db-2", "95"]}
    status, told, _ = call(None, other)
    assert (status, told["token"], told["alerts"]) == (202, first["token"], 2)
    assert told["alert"] != first["alert"]
    _, stands, _ = call({"token": [first["token"]]}, method="GET")
    assert {one["text"][:4]: one["state"] for one in stands["each_alert"]} == {
        "db-1": "calling",
        "db-2": "calling",
    }
    # Acknowledged, either is joined; a third one rings who acknowledged.
    over(first["token"])
    assert call(None, other)[1] == told | {"state": "acknowledged", "alerts": 3}
    _, third, _ = call(None, other | {"variableMessage": ["db-3", "95"]})
    assert (third["joined"], third["state"], third["alerts"]) == (False, "calling", 1)


@pytest.mark.parametrize(
    ("key", "other", "same"),
    [("k", "k", True), ("k", "l", False), ("k", None, False), (None, None, False)],
)
def test_a_callers_own_key_says_which_alerts_are_the_same(call, key, other, same):
    def alert(key, value):
        values = {"messageId": "disk_full", "variableMessage": ["db-1", value]}
        return values if key is None else values | {"dedupKey": key}

    first, second = (call(None, alert(*one))[1] for one in ((key, "95"), (other, "97")))
    assert (first["alert"] == second["alert"]) is same
    if key:
        assert call(QUERY | {"dedupKey": [key]})[1]["alert"] == first["alert"]


def test_one_variable_as_text(call, database):
    database.roster = replace(ROSTER, twilio_message=[a_message(text="{} is full")])
    assert call(None, {"messageId": "disk_full", "variableMessage": "db-1"})[0] == 202
    assert call({"messageId": ["disk_full"], "variableMessage": ["db-1"]})[0] == 202


def test_a_rehearsal_dials_no_persons_number(call):
    _, told, _ = call(QUERY, env_type="verification")
    session = store.load(told["token"], NOW)
    numbers = {member.number for member in session.rotation.members}
    assert numbers == {"+819000000091", "+819000000092"}
    assert session.env_type == "verification"
    # The same alert in production joins no rehearsal.
    assert call(QUERY)[1]["joined"] is False


@pytest.mark.parametrize(
    ("query", "body", "message"),
    [
        (None, None, "messageId: missing"),
        ({"messageId": [""]}, None, "messageId: got '', takes letters"),
        ({"messageId": ["a b"]}, None, "messageId: got 'a b', takes letters"),
        ({"messageId": ["a", "b"]}, None, "messageId: got 2 of them, takes one"),
        ({"messageId": ["x" * 65]}, None, "messageId: got"),
        (None, {"messageId": 5}, "messageId: got 5, takes text"),
        (None, {"messageId": "x", "variableMessage": [1]}, "variableMessage"),
        (None, {"messageId": "x", "variableMessage": None}, "variableMessage: got None"),
        (None, ALERT | {"dedupKey": ""}, "dedupKey: got '', takes 1 to 255"),
        (None, ALERT | {"dedupKey": "x" * 256}, "dedupKey: got 'xxx"),
        (None, ALERT | {"dedupKey": 5}, "dedupKey: got 5, takes text"),
        (QUERY | {"dedupKey": ["a", "b"]}, None, "dedupKey: got 2 of them, takes one"),
        (None, "{", "body: takes a JSON object"),
        (None, [], "body: got [], takes a JSON object"),
        (None, '"x"', "body: got 'x', takes a JSON object"),
        (None, ALERT | {"x": 1}, "unknown field: x"),
        (QUERY | {"groupId": ["web"]}, None, "unknown field: groupId"),
        ({"messageId": ["disk_full"]}, None, "variableMessage: got [], takes 2 of them"),
        (None, ALERT | {"variableMessage": "x"}, "variableMessage: got ['x'], takes 2 of them"),
    ],
)
def test_a_bad_request_names_the_field(call, query, body, message):
    status, told, _ = call(query, body)
    assert (status, list(told)) == (400, ["message"])
    assert told["message"].startswith(message)


@pytest.mark.parametrize(
    ("group", "query", "message"),
    [
        ("web", QUERY, "groupId: got 'web'"),
        ("database", {"messageId": ["x"]}, "messageId: got 'x'"),
    ],
)
def test_unknown_groups_and_messages(call, group, query, message):
    status, told, _ = call(query, group=group)
    assert (status, told["message"].startswith(message)) == (404, True)


def test_a_group_that_cannot_be_one(call):
    status, told, _ = call(QUERY, group="a b/%" + "x" * 3000)
    assert (status, told["message"][:24]) == (400, "groupId: got 'a b/%xxxxx")
    assert len(told["message"]) < 200


def test_half_a_character_rings_all_the_same(call):
    alert = {"messageId": "disk_full", "variableMessage": ["db-1", "\ud83d"]}
    assert call(None, json.dumps(alert))[0] == 202


def test_tables_that_contradict_themselves_phone_all_the_same_and_say_so(call, database):
    database.roster = replace(ROSTER, monitor_group=[a_group(1), a_group(2, name="新")])
    status, told, _ = call(QUERY)
    assert (status, told["state"]) == (202, "calling")
    session = store.load(told["token"], NOW)
    assert session.group_name == "新"
    (problem,) = session.problems
    assert problem.startswith("monitor_group rows 1 and 2 (database) are valid at the same")
    assert rotation.todo(session.rotation, NOW)[-1] == rotation.Action("warn")


ENDED = {"valid_to": datetime.fromisoformat("2026-11-01")}
LAST = "row 1 from 2026-01-01 00:00:00 to 2026-11-01 00:00:00"


@pytest.mark.parametrize(
    ("name", "row", "state"),
    [
        ("group_member", a_member(1, **ENDED), "exhausted"),
        ("twilio_message", a_message(**ENDED), "calling"),
        ("env_info", an_info(1, "caller_number", "+815000000000", **ENDED), "exhausted"),
    ],
)
def test_where_the_last_rows_have_ended_they_are_named_and_somebody_hears_of_it(
    call, database, name, row, state
):
    database.roster = replace(ROSTER, **{name: [row]})
    status, told, _ = call(QUERY)
    assert (status, told["state"]) == (202, state)
    session = store.load(told["token"], NOW)
    assert any(one.startswith(name) and one.endswith(LAST) for one in session.problems)
    deeds = [action.deed for action in rotation.todo(session.rotation, NOW)]
    assert deeds == (["dial", "warn"] if state == "calling" else ["report", "warn"])
    assert store.get(told["token"])["act"] == "now"
    # Whoever is to be phoned some time later is phoned anew.
    database.roster = ROSTER
    assert call(QUERY)[1]["state"] == "calling"


def test_a_group_that_has_ended_is_refused(call, database):
    database.roster = replace(ROSTER, monitor_group=[a_group(**ENDED)])
    status, told, _ = call(QUERY)
    assert (status, told["message"].endswith(LAST)) == (409, True)


def test_an_alarm_is_not_lost_where_nobody_is_on_duty(database, context):
    database.roster = replace(ROSTER, group_member=[])
    (told,) = handler(notice(ALARM), context)["escalations"]
    assert told["state"] == "exhausted"


def test_a_group_that_has_had_its_escalations(call, database, clock):
    clock.now += 600
    messages = [a_message(n, message_id=f"m{n}", text="x") for n in (1, 2)]
    group = a_group(escalations_per_hour=1)
    database.roster = replace(ROSTER, monitor_group=[group], twilio_message=messages)
    _, first, _ = call({"messageId": ["m1"]})
    over(first["token"], clock.now)
    status, told, headers = call({"messageId": ["m2"]})
    assert (status, int(headers["Retry-After"])) == (429, 3600 - clock.now % 3600)
    assert "1 escalations of this hour" in told["message"]
    assert call({"messageId": ["m1"]})[1]["joined"] is True


AWAY = pymysql.err.OperationalError(2003, "no way to the-host")


def test_while_the_database_is_down_the_copy_serves(call, database):
    call(QUERY)
    database.trouble = AWAY
    status, told, _ = call(QUERY, env_type="verification")
    assert (status, told["joined"]) == (202, False)
    session = store.load(told["token"], NOW)
    assert session.rotation.members[0].number == "+819000000091"


def test_the_copy_is_the_roster_and_is_written_when_that_changes(call, database, monkeypatch):
    puts = []
    monkeypatch.setattr(store, "put", lambda item, put=store.put: (puts.append(item), put(item)))
    assert duties.read(NOW) == duties.read(NOW) == ROSTER
    assert len(puts) == 1
    later = replace(ROSTER, monitor_group=[a_group(valid_to=datetime.fromisoformat("2030-01-01"))])
    database.roster = later
    duties.read(NOW)
    assert len(puts) == 2
    database.trouble = AWAY
    assert duties.read(NOW) == later


def test_the_tables_are_asked_for_what_is_valid_or_will_be_or_was_lately(call, database):
    call(QUERY)
    query, values = database.asked[2]
    assert query == (
        "SELECT id, valid_from, valid_to, message_id, language, text FROM twilio_message"
        " WHERE valid_to IS NULL OR valid_to > %s ORDER BY id"
    )
    assert values == [datetime.fromisoformat("2026-08-25 11:13:20")]
    assert len(database.asked) == len(fields(ROSTER))


def test_the_database_is_down_and_there_is_no_copy(call, database):
    database.trouble = AWAY
    status, told, headers = call(QUERY)
    assert (status, headers["Retry-After"]) == (503, "60")
    assert "the-host" not in str(told)


def test_too_many_at_once_are_told_to_come_again(call, monkeypatch):
    monkeypatch.setattr(store, "sleep", lambda _: None)
    monkeypatch.setattr(store, "_open", lambda *_: False)
    status, told, headers = call(QUERY)
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "token" not in str(told)


def test_what_else_fails_says_nothing_from_inside(call, database):
    database.trouble = RuntimeError("a secret")
    assert call(QUERY)[:2] == (
        500,
        {"message": "Internal server error", "requestId": "request-1"},
    )


def test_where_it_stands(call):
    _, told, _ = call(QUERY)
    token = told["token"]
    status, stands, _ = call({"token": [token]}, method="GET")
    assert (status, stands["state"], stands["attempts"][0]["state"]) == (200, "calling", "due")
    over(token)
    _, stands, _ = call({"token": [token]}, method="GET")
    assert (stands["state"], stands["acknowledged_by"]) == ("acknowledged", "佐藤 葵")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (None, 400),
        ({"token": ["a", "b"]}, 400),
        ({"token": [""]}, 404),
        ({"token": ["nothing-of-that-name"]}, 404),
        ({"token": ["roster"]}, 404),
        ({"token": ["x" * 3000]}, 404),
    ],
)
def test_where_nothing_stands(call, query, status):
    call(QUERY)
    assert call(query, method="GET")[0] == status


def test_another_groups_or_an_expired_token_stands_nowhere(call, expired):
    query = {"token": [call(QUERY)[1]["token"]]}
    assert call(query, method="GET", group="web")[0] == 404
    expired()
    assert call(query, method="GET")[0] == 404


def notice(message, topic="test-phone-database"):
    arn = f"arn:aws:sns:ap-northeast-1:000000000000:{topic}"
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Records": [{"Sns": {"TopicArn": arn, "Message": text}}]}


ALARM = {
    "AlarmName": "db-cpu #1",
    "NewStateValue": "ALARM",
    "NewStateReason": "too busy",
    "Trigger": {"Dimensions": [{"Name": "Instance", "Value": "db-1"}]},
}


def test_an_alarm_opens_and_its_repeat_joins(database, context):
    (told,) = handler(notice(ALARM), context)["escalations"]
    assert (told["alarm"], told["joined"]) == ("db-cpu #1", False)
    session = store.load(told["token"], NOW)
    (alert,) = session.alerts.values()
    assert (session.group_id, alert.message_id) == ("database", "alarm db-cpu #1")
    assert alert.texts["ja"] == "アラーム db-cpu #1. Instance db-1. too busy."
    assert handler(notice(ALARM), context)["escalations"][0]["joined"] is True


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_another_state_phones_nobody(database, context, state):
    event = notice(ALARM | {"NewStateValue": state})
    assert handler(event, context) == {"escalations": []}
    assert database.asked == []


@pytest.mark.parametrize("message", ["hello", "5", "[]", "null", {"x": 1}, {"AlarmName": "x"}])
def test_what_is_no_alarm_fails(database, context, message):
    with pytest.raises(RunFailed, match="test-phone-database: no CloudWatch alarm: "):
        handler(notice(message), context)


def test_an_alarm_in_a_rehearsals_environment(database, context, monkeypatch):
    monkeypatch.setenv("ENV_TYPE", "verification")
    (told,) = handler(notice(ALARM), context)["escalations"]
    session = store.load(told["token"], NOW)
    assert session.rotation.members[0].number == "+819000000091"


def test_by_hand(database, context):
    event = {"groupId": "database"} | ALERT
    told = handler(event, context)
    assert store.load(told["token"], NOW).env_type == "production"
    with pytest.raises(NotFound):
        handler(event | {"groupId": "web"}, context)
    with pytest.raises(InvalidEvent, match="groupId: got ''"):
        handler(ALERT, context)
    database.roster = replace(ROSTER, monitor_group=[a_group(**ENDED)])
    with pytest.raises(RosterError):
        handler(event, context)


def test_the_check(database, context):
    assert handler({"check": True}, context) == {"checked": 12}
    database.roster = replace(ROSTER, env_info=[*ROSTER.env_info, an_info(9, "place", "x")])
    with pytest.raises(RunFailed, match="env_info rows 2 and 9: production place: valid at the"):
        handler({"check": True}, context)
    database.roster = replace(ROSTER, group_member=[a_member(1, **ENDED)])
    with pytest.raises(RunFailed, match=r"group_member \(database\): no row is valid at .* row 1"):
        handler({"check": True}, context)
    with pytest.raises(InvalidEvent, match="check: got False, takes true"):
        handler({"check": False}, context)


def test_a_body_in_base64(database, context):
    event = {
        "httpMethod": "POST",
        "pathParameters": {"groupId": "database"},
        "headers": None,
        "body": b64encode(json.dumps(ALERT).encode()).decode(),
        "isBase64Encoded": True,
        "stageVariables": {"env_type": "production"},
    }
    assert handler(event, context)["statusCode"] == 202
