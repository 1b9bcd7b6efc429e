"""Read the roster from MySQL, and keep a copy for the night on which MySQL is what is down."""

import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import dacite
import pymysql

from common import mysql, parameters
from phone_escalation import store
from phone_escalation.roster import Roster

# The table in which sessions are has the copy, under this key.
KEPT = "roster"
SECONDS = 5
MOST_ROWS = 5000
# Rows that ended no longer ago are read, too: they are named where the next ones are missing.
ENDED = timedelta(days=90)

log = logging.getLogger(__name__)


class Unreadable(Exception):
    """The tables cannot be read, and there is no copy of them."""


def local(now: int) -> datetime:
    """Return an epoch second as the wall clock of the tables' zone shows it."""
    return datetime.fromtimestamp(now, ZoneInfo(os.environ["TIMEZONE"])).replace(tzinfo=None)


def read(now: int) -> Roster:
    """Read all rows that are valid, will be or lately were, and keep a copy where they changed.

    Where the database cannot be read, return the copy: an escalation is often about just that.
    Raises Unreadable where there is none, and ParameterError.
    """
    try:
        roster = fresh(now)
    except pymysql.MySQLError as error:
        return _copy(error)
    _keep(roster, now)
    return roster


def fresh(now: int) -> Roster:
    """Read the rows from the database itself. Raises pymysql.MySQLError and ParameterError."""
    path = parameters.path(None, None)
    settings = mysql.Settings.of(parameters.remembered(path, mysql.PARAMETERS))
    return _from_database(settings, local(now))


def _from_database(settings: mysql.Settings, time: datetime) -> Roster:
    found: dict[str, list[dict[str, Any]]] = {}
    with mysql.reading(settings, seconds=SECONDS, rows=MOST_ROWS, longest=SECONDS) as cursor:
        for table in fields(Roster):
            (row,) = get_args(table.type)
            columns = [column.name for column in fields(row)]
            cursor.execute(
                f"SELECT {', '.join(columns)} FROM {table.name}"  # noqa: S608 (names of ours)
                " WHERE valid_to IS NULL OR valid_to > %s ORDER BY id",
                [time - ENDED],
            )
            found[table.name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return _roster(found)


_kept: dict[str, bytes] = {}


def _keep(roster: Roster, now: int) -> None:
    text = json.dumps(asdict(roster), default=datetime.isoformat, ensure_ascii=False)
    packed = zlib.compress(text.encode())
    if _kept.get(KEPT) != packed:
        store.put({"token": KEPT, "rows": packed, "read_at": now})
        _kept[KEPT] = packed


def _copy(error: Exception) -> Roster:
    item = store.get(KEPT)
    if item is None:
        raise Unreadable(f"the database cannot be read: {error}") from error
    read_at = local(item["read_at"])
    log.error("the database cannot be read, using the rows as of %s: %s", read_at, str(error))
    return _roster(json.loads(zlib.decompress(bytes(item["rows"]))))


def _roster(found: Mapping[str, Any]) -> Roster:
    def time(value: Any) -> Any:
        return datetime.fromisoformat(value) if isinstance(value, str) else value

    return dacite.from_dict(Roster, found, dacite.Config(type_hooks={datetime: time}))
