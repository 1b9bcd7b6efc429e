"""The inbox: everything the sandbox received, oldest first, kept in an SQLite file."""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at TEXT NOT NULL,
    channel TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS items_by_channel ON items (channel, id);
"""
_MOST = 2**63 - 1  # SQLite's largest integer


@dataclass(frozen=True)
class Item:
    """One thing received. `received_at` is ISO 8601 in UTC, `body` any JSON value."""

    id: int
    received_at: str
    channel: str
    summary: str
    body: Any


@dataclass(frozen=True)
class Inbox:
    """The items of one folder; `open_inbox` makes it."""

    connection: sqlite3.Connection

    def add(self, channel: str, summary: str, body: object) -> int:
        """Keep an item and return its id; ids only grow and are never used again."""
        row = self.connection.execute(
            "INSERT INTO items (received_at, channel, summary, body) VALUES (?, ?, ?, ?)"
            " RETURNING id",
            (
                datetime.now(UTC).isoformat(timespec="milliseconds"),
                channel,
                _encodable(summary),
                _encodable(json.dumps(body, ensure_ascii=False, allow_nan=False)),
            ),
        ).fetchone()
        return int(row[0])

    def items(
        self,
        *,
        channel: str | None = None,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> list[Item]:
        """Return items, newest last: those next after an id, or else the newest (before an id)."""
        order = "DESC" if after is None else "ASC"
        rows = self.connection.execute(
            "SELECT id, received_at, channel, summary, body FROM items"  # noqa: S608 (one of two words)
            " WHERE (:channel IS NULL OR channel = :channel) AND id > :after"
            f" AND id < :before ORDER BY id {order} LIMIT :limit",
            {
                "channel": channel,
                "after": after or 0,
                "before": _MOST if before is None else before,
                "limit": -1 if limit is None else limit,
            },
        ).fetchall()
        if after is None:
            rows.reverse()
        return [
            Item(number, received_at, of, summary, json.loads(body))
            for number, received_at, of, summary, body in rows
        ]

    def counts(self) -> dict[str, int]:
        """Return how many items each channel has, by channel's name."""
        return dict(
            self.connection.execute(
                "SELECT channel, COUNT(*) FROM items GROUP BY channel ORDER BY channel"
            )
        )


def open_inbox(folder: Path) -> Inbox:
    """Open the inbox of a folder, making both where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return Inbox(open_database(folder / "inbox.sqlite3", _SCHEMA))


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open an SQLite file that outlives a killed process; every statement commits by itself."""
    # The sqlite3 of CPython is built 'serialized', so a route that runs in a thread may share it.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(schema)
    return connection


def bad_field(field: str, takes: str, got: object) -> Response:
    """Refuse a request to the sandbox itself: 400 `{"error", "field"}` naming the field."""
    shown, field = ascii(got)[:80], _encodable(field)
    return JSONResponse(
        {"error": f"{field}: takes {takes}, got {shown}", "field": field}, status_code=400
    )


def routes(inbox: Inbox, collect: Callable[[], Awaitable[None]]) -> list[Route]:
    """Return `GET /inbox?channel=&after=&limit=`: a JSON list, newest last.

    `collect` is awaited first: it gets what does not come by itself.
    """

    async def listing(request: Request) -> Response:
        query: dict[str, Any] = {}
        for field, value in request.query_params.multi_items():
            if field not in ("channel", "after", "limit"):
                return bad_field(field, "nothing: there is channel, after and limit", value)
            if field in query:
                return bad_field(field, "one value", request.query_params.getlist(field))
            least = 1 if field == "limit" else 0
            if field == "channel":
                if not value:
                    return bad_field(field, "a channel's name", value)
                query[field] = value
            elif (number := _whole(value)) is None or not least <= number <= _MOST:
                return bad_field(field, f"a whole number from {least}", value)
            else:
                query[field] = number
        await collect()
        return _json(asdict(item) for item in inbox.items(**query))

    return [Route("/inbox", listing, methods=["GET"])]


def _json(items: Iterable[dict[str, Any]]) -> Response:
    return JSONResponse(list(items), headers={"Cache-Control": "no-store"})


def _whole(text: str) -> int | None:
    """Read plain decimal digits; int() alone would take signs, blanks and underscores too."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
