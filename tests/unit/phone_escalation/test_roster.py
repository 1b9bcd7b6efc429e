import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import InvalidEvent
from phone_escalation.roster import NotFound, RosterError, duty, fill, problems, texts
from phone_escalation.words import MOST
from tests.unit.phone_escalation.samples import (
    CALLER,
    MEMBERS,
    a_group,
    a_member,
    a_message,
    a_roster,
    an_info,
)

NOON = datetime.fromisoformat("2026-11-23 12:00")
SECOND = timedelta(seconds=1)
OCTOBER, DECEMBER = (datetime.fromisoformat(f"2026-{month}-01") for month in (10, 12))


def test_who_is_on_duty():
    roster = a_roster(group_member=[a_member(number, 4 - number) for number in (1, 2, 3)])
    found = duty(roster, "database", "production", NOON)
    assert found.members == MEMBERS
    assert (found.place, found.caller, found.group.rounds) == ("本番環境", CALLER, 2)


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (DECEMBER - SECOND, "佐藤 葵"),
        (DECEMBER, "鈴木 蓮"),
        (datetime.fromisoformat("2030-01-01"), "鈴木 蓮"),
        (OCTOBER, "佐藤 葵"),
    ],
)
def test_next_months_rotation_is_entered_today(at, name):
    now, then = a_member(1, valid_from=OCTOBER, valid_to=DECEMBER), a_member(2, 2)
    roster = a_roster(group_member=[now, replace(then, position=1, valid_from=DECEMBER)])
    assert problems(roster, "production", OCTOBER) == {}
    assert [one.name for one in duty(roster, "database", "production", at).members] == [name]


@pytest.mark.parametrize("env_type", ["verification", "Production", "", "staging"])
def test_a_rehearsal_dials_only_the_numbers_of_the_rehearsal(env_type):
    roster = a_roster(group_member=[a_member(number, number) for number in (1, 2, 3)])
    infos = [replace(row, env_type=env_type) for row in roster.env_info[2:]]
    members = duty(a_roster(env_info=infos), "database", env_type, NOON).members
    numbers = ["+819000000091", "+819000000092", "+819000000091"]
    assert [one.number for one in members] == numbers
    assert [one.name for one in members] == [one.name for one in MEMBERS]


ROWS = a_roster()


@pytest.mark.parametrize(
    ("tables", "env_type", "message"),
    [
        (
            {"group_member": [a_member(1, 1), a_member(7, 1)]},
            "production",
            "group_member rows 1 and 7 (database 1) are valid at the same time",
        ),
        (
            {"monitor_group": [a_group(1), a_group(4)]},
            "production",
            "monitor_group rows 1 and 4 (database) are valid at the same time",
        ),
        (
            {"env_info": [*ROWS.env_info, an_info(9, "place", "x")]},
            "production",
            "env_info rows 2 and 9 (production place) are valid at the same time",
        ),
        (
            {"env_info": [*ROWS.env_info, replace(ROWS.env_info[4], id=9)]},
            "verification",
            "env_info rows 5 and 9 (verification rehearsal_number_1) are valid at the same",
        ),
        (
            {"group_member": [a_member(1, valid_to=OCTOBER), a_member(2, valid_from=DECEMBER)]},
            "production",
            (
                "group_member (database): no row is valid at 2026-11-23 12:00: there is "
                "row 1 from 2026-01-01 00:00:00 to 2026-10-01 00:00:00, "
                "row 2 from 2026-12-01 00:00:00 to open"
            ),
        ),
        (
            {"group_member": [a_member(1, valid_from=DECEMBER, valid_to=OCTOBER)]},
            "production",
            "group_member (database): no row is valid",
        ),
        (
            {"group_member": [a_member(1, group_id="web")]},
            "production",
            "group_member (database): no row is valid at 2026-11-23 12:00: there is none",
        ),
        (
            {"monitor_group": [a_group(1, valid_from=DECEMBER)]},
            "production",
            "monitor_group (database): no row is valid",
        ),
        ({"env_info": ROWS.env_info[1:]}, "production", "env_info (production caller_number): no"),
        ({"env_info": ROWS.env_info[:1]}, "production", "env_info (production place): no"),
        (
            {"env_info": ROWS.env_info[:4]},
            "verification",
            "env_info (verification rehearsal_number): no row is valid",
        ),
    ],
)
def test_where_the_tables_say_nothing_or_two_things_the_rows_are_named(tables, env_type, message):
    try:
        found = duty(a_roster(**tables), "database", env_type, NOON)
    except RosterError as error:
        assert message.startswith("monitor_group (")
        assert str(error).startswith(message)
    else:
        (problem,) = (*found.gaps, *found.overlaps)
        assert problem.startswith(message)


def test_of_two_rows_for_one_thing_the_newer_counts_and_of_two_for_one_place_both():
    old, new = a_member(1, name="old"), a_member(7, name="new", phone_number="+819000000007")
    tables = {
        "group_member": [old, a_member(2, 2), new],
        "monitor_group": [a_group(1, name="old"), a_group(4, name="new")],
        "env_info": [*ROWS.env_info, an_info(9, "place", "new")],
    }
    found = duty(a_roster(**tables), "database", "production", NOON)
    assert [one.name for one in found.members] == ["new", "old", MEMBERS[1].name]
    assert (found.group.name, found.place, len(found.overlaps)) == ("new", "new", 3)


@pytest.mark.parametrize(
    ("tables", "env_type"),
    [
        ({"env_info": ROWS.env_info[1:]}, "production"),  # no caller's number
        ({"group_member": []}, "production"),
        ({"env_info": ROWS.env_info[:4]}, "verification"),  # no number for a rehearsal
    ],
)
def test_where_nobody_can_be_phoned_there_are_no_members(tables, env_type):
    assert duty(a_roster(**tables), "database", env_type, NOON).members == ()


def test_what_is_wrong_elsewhere_disturbs_no_other_group():
    members = [*ROWS.group_member, *(a_member(n, 1, group_id="web") for n in (7, 8))]
    assert duty(a_roster(group_member=members), "database", "production", NOON).members == MEMBERS


def test_an_unknown_group():
    with pytest.raises(NotFound, match="groupId: got 'web', there is no such group"):
        duty(ROWS, "web", "production", NOON)


def test_a_message_in_its_languages():
    assert texts(ROWS, "disk_full", ["db-1", "95"], NOON).texts == {
        "ja": "db-1のディスク使用率が95パーセントです。",
        "en": "The disk of db-1 is 95 percent full.",
    }
    with pytest.raises(NotFound, match="messageId: got 'x'"):
        texts(ROWS, "x", [], NOON)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([a_message(1), a_message(5)], r"twilio_message rows 1 and 5 \(disk_full ja\)"),
        ([a_message(1, valid_to=OCTOBER)], r"twilio_message \(disk_full\): no row is valid"),
    ],
)
def test_a_message_that_is_not_clear(rows, message):
    said = texts(a_roster(twilio_message=rows), "disk_full", ["a", "b"], NOON)
    (problem,) = said.problems
    assert re.match(message, problem)
    # The newer text is said, or else the alert's own words.
    assert said.texts["ja"] in ("aのディスク使用率がbパーセントです。", "disk_full, a, b")


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("nothing", [], "nothing"),
        ("{} and {}", ["a", "b"], "a and b"),
        ("{}{}", ["{}", "x{}"], "{}x{}"),
        ("{0} {x} {}", ["%s"], "{0} {x} %s"),
        ("a {}", [""], "a 指定なし"),
        ("{} b", [" "], "指定なし b"),
        ("{}", ["x" * 400], "x" * 299 + "…"),
        ("y" * 700 + "{}", ["x"], "y" * (MOST - 1) + "…"),
    ],
)
def test_fill(text, variables, expected):
    assert fill(text, variables, "ja") == expected


@pytest.mark.parametrize("variables", [[], ["a"], ["a", "b", "c"]])
def test_too_few_or_too_many_variables(variables):
    with pytest.raises(InvalidEvent, match=r"^variableMessage: got \[.*takes 2 of them, for '{}"):
        fill("{} {}", variables, "en")


@given(st.lists(st.text(max_size=50), min_size=3, max_size=3))
def test_variables_stand_where_they_belong(variables):
    given = [one.strip() or "not given" for one in variables]
    assert fill("a{}b{}c{}", variables, "en") == "a{}b{}c{}".format(*given)


@pytest.mark.parametrize(
    ("tables", "row", "message"),
    [
        (
            {"group_member": [a_member(1, valid_from=DECEMBER, valid_to=DECEMBER), a_member(2)]},
            "group_member row 1",
            "valid_from 2026-12-01 00:00:00 is not before valid_to 2026-12-01 00:00:00",
        ),
        (
            {"group_member": [a_member(1), a_member(2, valid_from=DECEMBER)]},
            "group_member rows 1 and 2",
            "database 1: valid at the same time",
        ),
        (
            {"group_member": [a_member(1), a_member(2, 2, group_id="gone")]},
            "group_member row 2",
            "there is no group 'gone'",
        ),
        (
            {"group_member": [a_member(1, phone_number="090-1234-5678")]},
            "group_member row 1",
            "phone_number: got …5678, takes E.164",
        ),
        (
            {"env_info": [*ROWS.env_info, an_info(9, "rehearsal_number_1", "+0")]},
            "env_info row 9",
            "rehearsal_number_1: got …+0, takes E.164",
        ),
        (
            {"group_member": [a_member(1), a_member(2, group_id="gone", phone_number="090")]},
            "group_member row 2",
            "there is no group 'gone'; phone_number: got …090, takes E.164",
        ),
        (
            {"monitor_group": [a_group(3, rounds=0, ring_timeout=0)]},
            "monitor_group row 3",
            "rounds: got 0, takes 1 to 10; ring_timeout: got 0, takes 5 to 120",
        ),
        (
            {"twilio_message": [a_message(1), a_message(2, "en", "The disk of {} is full.")]},
            "twilio_message rows 1 and 2",
            "disk_full: 2 and 1 {} in its texts",
        ),
        (
            {"group_member": []},
            "group_member (database)",
            "no row is valid at 2026-11-23 12:00: there is none",
        ),
        (
            {"group_member": [a_member(1, valid_to=OCTOBER), a_member(2, valid_from=DECEMBER)]},
            "group_member (database)",
            "no row is valid at 2026-11-23 12:00: there is row 1 from",
        ),
        (
            {"group_member": [a_member(1, valid_to=DECEMBER)]},
            "group_member (database)",
            "no row is valid at 2026-12-01 00:00: there is row 1 from",
        ),
        (
            {"monitor_group": [a_group(valid_from=DECEMBER)], "group_member": []},
            "group_member (database)",
            "no row is valid at 2026-12-01 00:00: there is none",
        ),
        (
            {
                "monitor_group": [a_group(1), a_group(2, "web")],
                "group_member": [a_member(1), a_member(2, group_id="web")],
                "env_info": ROWS.env_info[:1],
            },
            "env_info (production place)",
            "no row is valid at 2026-11-23 12:00: there is none",
        ),
        (
            {"monitor_group": [a_group(3, rounds=0)]},
            "monitor_group row 3",
            "rounds: got 0, takes 1 to 10",
        ),
    ],
)
def test_the_check_finds_what_is_wrong_now_or_later(tables, row, message):
    ((found, said),) = problems(a_roster(**tables), "production", NOON).items()
    assert found == row
    assert said.startswith(message)


def test_the_check_names_every_overlap():
    rows = [
        a_member(1),
        a_member(2, valid_from=OCTOBER, valid_to=DECEMBER),
        a_member(3, valid_from=DECEMBER),
    ]
    found = problems(a_roster(group_member=rows), "production", NOON)
    assert list(found) == ["group_member rows 1 and 2", "group_member rows 1 and 3"]


@pytest.mark.parametrize("env_type", ["production", "verification"])
def test_the_check_of_good_tables(env_type):
    assert problems(ROWS, env_type, NOON) == {}


def test_the_check_of_a_rehearsal_misses_its_numbers():
    found = problems(a_roster(env_info=ROWS.env_info[:4]), "verification", NOON)
    assert list(found) == ["env_info (verification rehearsal_number)"]


@pytest.mark.parametrize(
    "tables",
    [
        {"group_member": [a_member(1), a_member(2, phone_number="x", valid_to=OCTOBER)]},
        {"group_member": [a_member(1), *[a_member(n, valid_to=OCTOBER) for n in (2, 3)]]},
        {
            "monitor_group": [a_group(1), a_group(2, "web", valid_to=OCTOBER)],
            "group_member": [a_member(1), a_member(2, group_id="web", valid_to=OCTOBER)],
        },
        {
            "monitor_group": [a_group(valid_to=DECEMBER)],
            "group_member": [a_member(1, valid_to=DECEMBER)],
        },
        {
            "twilio_message": [
                a_message(1, valid_to=DECEMBER),
                a_message(2, "en", "The disk of {} is full.", valid_from=DECEMBER),
            ]
        },
    ],
)
def test_what_has_ended_or_ends_with_its_group_is_no_problem(tables):
    assert problems(a_roster(**tables), "production", NOON) == {}
