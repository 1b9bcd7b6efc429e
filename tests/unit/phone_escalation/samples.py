"""A group of three, an escalation of theirs, and the tables that both come from."""

from dataclasses import replace
from datetime import datetime

from phone_escalation import rotation
from phone_escalation.roster import EnvInfo, Group, GroupMember, Message, Roster
from phone_escalation.rotation import Member
from phone_escalation.session import LIFE, Alert, Session

NOW = 1_795_400_000
TOKEN = "token-of-a-session-in-the-tests1"
BASE = "http://127.0.0.1:4600/restapis/api/v1/_user_request_"
CALLER = "+815000000000"
DISK = "disk"  # the id of an alert
MEMBERS = (
    Member("佐藤 葵", "+819000000001", "ja"),
    Member("鈴木 蓮", "+819000000002", "ja"),
    Member("Emma Tanaka", "+819000000003", "en"),
)
ALWAYS = {"valid_from": datetime.fromisoformat("2026-01-01"), "valid_to": None}


def started(members=MEMBERS, rounds=2, ring_timeout=20):
    return rotation.start(members, rounds, ring_timeout, DISK, NOW)


def acknowledge(run, number, now):
    """Tell an attempt what waits, unless that is done, and have key 1 pressed."""
    attempt = run.attempt(number)
    heard = run if attempt and attempt.told else rotation.tell(run, number, 5)
    after = rotation.acknowledge(heard, number, 0, now)
    return run if after is heard else after


def an_alert(identity=DISK, message_id="disk_full", at=NOW, **texts):
    texts = texts or {"ja": "ディスクが一杯です。", "en": "The disk is full."}
    return Alert(identity, message_id, texts, at)


def a_session(**fields):
    plain = Session(
        token=TOKEN,
        group_id="database",
        group_name="データベース",
        env_type="production",
        place="本番環境",
        caller=CALLER,
        slack_channel=None,
        bundle_seconds=300,
        started_at=NOW,
        expires_at=NOW + LIFE,
        rotation=started(),
        alerts={DISK: an_alert()},
    )
    return replace(plain, **fields)


def a_group(number=1, group_id="database", **fields):
    own = {
        "name": "データベース",
        "rounds": 2,
        "ring_timeout": 20,
        "bundle_minutes": 5,
        "escalations_per_hour": 20,
        "slack_channel": "C0123456789",
    }
    return Group(**(ALWAYS | own | {"id": number, "group_id": group_id} | fields))


def a_member(number, position=1, group_id="database", **fields):
    who = MEMBERS[(position - 1) % 3]
    own = {"name": who.name, "phone_number": who.number, "language": who.language}
    place = {"id": number, "position": position, "group_id": group_id}
    return GroupMember(**(ALWAYS | own | place | fields))


def a_message(number=1, language="ja", text="{}のディスク使用率が{}パーセントです。", **fields):
    own = {"id": number, "message_id": "disk_full", "language": language, "text": text}
    return Message(**(ALWAYS | own | fields))


def an_info(number, code, value, env_type="production", **fields):
    own = {"id": number, "code": code, "value": value, "env_type": env_type}
    return EnvInfo(**(ALWAYS | own | fields))


def a_roster(**tables):
    plain = Roster(
        monitor_group=[a_group()],
        group_member=[a_member(number, number) for number in (1, 2, 3)],
        twilio_message=[a_message(), a_message(2, "en", "The disk of {} is {} percent full.")],
        env_info=[
            an_info(1, "caller_number", CALLER),
            an_info(2, "place", "本番環境"),
            an_info(3, "caller_number", CALLER, "verification"),
            an_info(4, "place", "検証環境", "verification"),
            an_info(5, "rehearsal_number_1", "+819000000091", "verification"),
            an_info(6, "rehearsal_number_2", "+819000000092", "verification"),
        ],
    )
    return replace(plain, **tables)
