"""Who is on duty, what is said, from where: the operators' tables, as they are valid at a time.

Rows are valid from `valid_from` until before `valid_to` (null: without an end), wall-clock times of
one zone, so that next month's rotation can be entered today. Pure.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import chain, combinations
from typing import Any, TypeVar

from common.events import require
from phone_escalation.rotation import Language, Member
from phone_escalation.words import WORDS, cut

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
PLACE = "{}"
MOST_OF_A_VARIABLE = 300
# What a group's settings may be; the tables themselves hold it too, where the server checks.
SETTINGS = {
    "rounds": (1, 10),
    "ring_timeout": (5, 120),
    "bundle_minutes": (0, 1440),
    "escalations_per_hour": (1, 65535),
}


class RosterError(Exception):
    """No row is valid where one is needed; the message names those that were."""


class NotFound(Exception):
    """No such group, or no such message."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What all rows have."""

    id: int
    valid_from: datetime
    valid_to: datetime | None

    def never(self) -> bool:
        """Tell whether the row's validity is empty."""
        return self.valid_to is not None and self.valid_to <= self.valid_from

    def at(self, time: datetime) -> bool:
        """Tell whether the row is valid at a time."""
        return self.valid_from <= time and not self.ended(time)

    def ended(self, time: datetime) -> bool:
        """Tell whether the row is valid no more at a time."""
        return self.valid_to is not None and self.valid_to <= time


@dataclass(frozen=True, kw_only=True)
class Group(Row):
    """A row of `monitor_group`: a group, and how its people are phoned."""

    group_id: str
    name: str
    rounds: int
    ring_timeout: int
    bundle_minutes: int
    escalations_per_hour: int
    slack_channel: str | None


@dataclass(frozen=True, kw_only=True)
class GroupMember(Row):
    """A row of `group_member`: who is phoned, and in which place."""

    group_id: str
    position: int
    name: str
    phone_number: str
    language: Language


@dataclass(frozen=True, kw_only=True)
class Message(Row):
    """A row of `twilio_message`: a text with a {} for each variable."""

    message_id: str
    language: Language
    text: str


@dataclass(frozen=True, kw_only=True)
class EnvInfo(Row):
    """A row of `env_info`: a value by environment and code.

    `caller_number`, `place`, and for a rehearsal `rehearsal_number`, or several of them with
    something behind.
    """

    env_type: str
    code: str
    value: str


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Roster:
    """All rows that are valid, will be or lately were."""

    monitor_group: list[Group] = field(default_factory=list)
    group_member: list[GroupMember] = field(default_factory=list)
    twilio_message: list[Message] = field(default_factory=list)
    env_info: list[EnvInfo] = field(default_factory=list)

    def keyed(self) -> Iterable[tuple[str, Row, tuple[object, ...]]]:
        """Give each row with its table and what may be there only once at a time."""
        for group in self.monitor_group:
            yield "monitor_group", group, (group.group_id,)
        for member in self.group_member:
            yield "group_member", member, (member.group_id, member.position)
        for message in self.twilio_message:
            yield "twilio_message", message, (message.message_id, message.language)
        for env in self.env_info:
            yield "env_info", env, (env.env_type, env.code)

    def after(self, time: datetime) -> "Roster":
        """Return the rows that have not ended at a time."""
        return Roster(
            *(
                [row for row in getattr(self, table.name) if not row.ended(time)]
                for table in fields(self)
            )
        )


@dataclass(frozen=True)
class Duty:
    """What one escalation needs to know of a group: see `duty`."""

    group: Group
    members: tuple[Member, ...]
    place: str
    caller: str
    gaps: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()


def duty(roster: Roster, group_id: str, env_type: str, time: datetime) -> Duty:
    """Return who is to be phoned for a group, in order, and what the tables lack for that.

    In any environment but production the numbers are those of the rehearsal, never a person's. Of
    two rows for one thing the newer counts, of two for one place in the order both, the newer
    first; they are named in `overlaps`. What no row says is named in `gaps`: without a member, a
    number of a rehearsal or a caller's number nobody can be phoned, and there are no members.
    Raises NotFound, or RosterError where the group has ended.
    """
    if all(group.group_id != group_id for group in roster.monitor_group):
        raise NotFound(f"groupId: got {group_id!r}, there is no such group in monitor_group")
    groups = _at("monitor_group", roster, (group_id,), time)
    if not groups:
        raise RosterError(_nobody("monitor_group", (group_id,), roster, time))
    infos = {
        code: _at("env_info", roster, (env_type, code), time) for code in ("caller_number", "place")
    }
    rows = _at("group_member", roster, (group_id,), time)
    gaps = [
        _nobody("env_info", (env_type, code), roster, time)
        for code, found in infos.items()
        if not found
    ]
    if not rows:
        gaps.insert(0, _nobody("group_member", (group_id,), roster, time))
    rows.sort(key=lambda row: row.position)
    members = tuple(Member(row.name, row.phone_number, row.language) for row in rows)
    rehearsal = []
    if env_type != "production":
        rehearsal = _rehearsal(roster, env_type, time)
        if not rehearsal:
            gaps.append(_nobody("env_info", (env_type, "rehearsal_number"), roster, time))
            members = ()
        members = tuple(
            replace(member, number=rehearsal[place % len(rehearsal)].value)
            for place, member in enumerate(members)
        )
    used = [*groups, *rows, *chain(*infos.values()), *rehearsal]
    place, caller = (
        infos[code][0].value if infos[code] else "" for code in ("place", "caller_number")
    )
    return Duty(
        groups[0],
        members if caller else (),
        place or env_type,
        caller,
        gaps=tuple(gaps),
        overlaps=_overlapping(roster, used),
    )


@dataclass(frozen=True)
class Said:
    """A message by language, and what is wrong with it in the tables."""

    texts: dict[Language, str]
    problems: tuple[str, ...] = ()


def texts(roster: Roster, message_id: str, variables: Sequence[str], time: datetime) -> Said:
    """Return a message by language, its places filled in order.

    Of two texts in one language the newer one is said; where there was a text and none is valid
    any more, the message's id and the variables. Raises NotFound, or InvalidEvent where the number
    of variables is another one.
    """
    known = [row for row in roster.twilio_message if row.message_id == message_id]
    if not known:
        raise NotFound(f"messageId: got {message_id!r}, there is no such message in twilio_message")
    rows = _at("twilio_message", roster, (message_id,), time)
    if not rows:
        plain = cut(", ".join([message_id, *variables]))
        gap = _nobody("twilio_message", (message_id,), roster, time)
        return Said({"ja": plain, "en": plain}, (gap,))
    # The last one of a language stays: the newest.
    found = {row.language: fill(row.text, variables, row.language) for row in reversed(rows)}
    return Said(found, _overlapping(roster, rows))


def fill(text: str, variables: Sequence[str], language: Language) -> str:
    """Put the variables into the text's places, in order; an empty one is said to be not given.

    Raises InvalidEvent unless they fit.
    """
    first, *others = text.split(PLACE)
    places = len(others)
    require(
        len(variables) == places,
        "variableMessage",
        list(variables),
        f"{places} of them, for {text!r}",
    )
    given = (variable.strip() or WORDS[language].not_given for variable in variables)
    short = (cut(variable, MOST_OF_A_VARIABLE) for variable in given)
    filled = (variable + rest for variable, rest in zip(short, others, strict=True))
    return cut(first + "".join(filled))


def problems(roster: Roster, env_type: str, time: datetime) -> dict[str, str]:
    """Return what is wrong in the tables, at a time or later, by row.

    Empty validity, overlaps, members of no group, invalid numbers, settings out of range,
    texts of one message that take different numbers of variables, and what keeps a group that is
    valid from being phoned in this environment. No number is named whole: it is a person's.
    """
    ahead = roster.after(time)
    found: dict[str, list[str]] = defaultdict(list)
    for where, said in chain(_faults(ahead), _clashes(ahead), _gaps(roster, env_type, time)):
        found[where].append(said)
    return {where: "; ".join(said) for where, said in found.items()}


def _faults(roster: Roster) -> Iterable[tuple[str, str]]:
    """Give what is wrong with one row."""
    for table, row, _ in roster.keyed():
        if row.never():
            said = f"valid_from {row.valid_from} is not before valid_to {row.valid_to}"
            yield f"{table} row {row.id}", said
    for group in roster.monitor_group:
        for said in _out_of_range(group):
            yield f"monitor_group row {group.id}", said
    groups = {group.group_id for group in roster.monitor_group}
    for member in roster.group_member:
        where = f"group_member row {member.id}"
        if member.group_id not in groups:
            yield where, f"there is no group {member.group_id!r}"
        if not E164.fullmatch(member.phone_number):
            yield where, _no_number("phone_number", member.phone_number)
    for env in roster.env_info:
        if env.code.partition("_number")[1] and not E164.fullmatch(env.value):
            yield f"env_info row {env.id}", _no_number(env.code, env.value)


def _clashes(roster: Roster) -> Iterable[tuple[str, str]]:
    """Give which two rows cannot be valid together."""
    for table, row, another, key in _overlaps(roster):
        yield f"{table} rows {row.id} and {another.id}", f"{_named(key)}: valid at the same time"
    messages: dict[str, list[Message]] = defaultdict(list)
    for message in roster.twilio_message:
        messages[message.message_id].append(message)
    for message_id, rows in messages.items():
        for one, other in _at_one_time(rows):
            places = one.text.count(PLACE), other.text.count(PLACE)
            if places[0] != places[1]:
                said = f"{message_id}: {places[0]} and {places[1]} {PLACE} in its texts"
                yield f"twilio_message rows {one.id} and {other.id}", said


def _gaps(roster: Roster, env_type: str, time: datetime) -> Iterable[tuple[str, str]]:
    """Give what a group lacks while it is valid, and from when on."""
    gaps: dict[str, str] = {}
    for group_id in dict.fromkeys(group.group_id for group in roster.monitor_group):
        own = Roster(
            monitor_group=[row for row in roster.monitor_group if row.group_id == group_id],
            group_member=[row for row in roster.group_member if row.group_id == group_id],
            env_info=roster.env_info,
        )
        changes = {at for _, row, _ in own.keyed() for at in (row.valid_from, row.valid_to)}
        for at in sorted({time} | {at for at in changes if at and at > time}):
            if not any(group.at(at) for group in own.monitor_group):
                continue
            for gap in duty(own, group_id, env_type, at).gaps:
                where, _, said = gap.partition(": ")
                gaps.setdefault(where, said)
    return gaps.items()


def _no_number(name: str, value: str) -> str:
    return f"{name}: got …{value[-4:]}, takes E.164 such as +819012345678"


def _out_of_range(group: Group) -> Iterable[str]:
    for name, (least, most) in SETTINGS.items():
        got = getattr(group, name)
        if not least <= got <= most:
            yield f"{name}: got {got}, takes {least} to {most}"


def _at(table: str, roster: Roster, key: tuple[object, ...], time: datetime) -> list[Any]:
    """Return the rows of a table whose key begins so and that are valid at a time, newest first."""
    rows = [
        row
        for name, row, found in roster.keyed()
        if name == table and found[: len(key)] == key and row.at(time)
    ]
    return sorted(rows, key=lambda row: (row.valid_from, row.id), reverse=True)


def _rehearsal(roster: Roster, env_type: str, time: datetime) -> list[EnvInfo]:
    rows = _at("env_info", roster, (env_type,), time)
    return sorted(
        (row for row in rows if row.code.startswith("rehearsal_number")), key=lambda row: row.code
    )


def _overlaps(roster: Roster) -> Iterable[tuple[str, Row, Row, tuple[object, ...]]]:
    together: dict[tuple[str, tuple[object, ...]], list[Row]] = defaultdict(list)
    for table, row, key in roster.keyed():
        together[table, key].append(row)
    for (table, key), rows in together.items():
        for one, other in _at_one_time(rows):
            yield table, one, other, key


def _at_one_time(rows: Iterable[R]) -> Iterable[tuple[R, R]]:
    """Give each two rows that are valid at one time, the earlier one first."""
    # Of a row that is never valid `problems` says so.
    some = (row for row in rows if not row.never())
    pairs = combinations(sorted(some, key=lambda row: (row.valid_from, row.id)), 2)
    return (pair for pair in pairs if pair[0].at(pair[1].valid_from))


def _overlapping(roster: Roster, rows: Sequence[Row]) -> tuple[str, ...]:
    """Name each two of these rows, all valid at one time, that have the same key."""
    mine = {id(row) for row in rows}
    seen: dict[tuple[str, tuple[object, ...]], Row] = {}
    found = []
    for table, row, key in roster.keyed():
        if id(row) not in mine:
            continue
        other = seen.setdefault((table, key), row)
        if other is not row:
            found.append(
                f"{table} rows {other.id} and {row.id} ({_named(key)}) are valid at the same time: "
                "end one of them with valid_to"
            )
    return tuple(found)


def _nobody(table: str, key: tuple[object, ...], roster: Roster, time: datetime) -> str:
    known = [
        row for name, row, found in roster.keyed() if name == table and found[: len(key)] == key
    ]
    listed = ", ".join(
        f"row {row.id} from {row.valid_from} to {row.valid_to or 'open'}" for row in known
    )
    return (
        f"{table} ({_named(key)}): no row is valid at {time:%Y-%m-%d %H:%M}: there is "
        f"{listed or 'none'}"
    )


def _named(key: tuple[object, ...]) -> str:
    return " ".join(map(str, key))
