"""Rows as BigQuery's answers have them, page by page."""

from typing import Any

from starlette.requests import Request

from sandbox.bigquery_jobs import Job
from sandbox.bigquery_query import Result
from sandbox.google import Refused

PAGE = 10_000


def query_answer(
    job: Job, result: Result | None, start: int, most: int, *, whole: bool
) -> dict[str, Any]:
    """Return a query's rows from `start`, `most` of them; Refused with what a failed one says."""
    if result is None:
        error = job["status"]["errorResult"]
        raise Refused(400, error["message"], error["reason"])
    shown = result.rows[start : start + most]
    kinds = [kind.name for _, kind in result.columns]
    fields = [
        {"name": name, "type": kind.legacy, "mode": "NULLABLE"} for name, kind in result.columns
    ]
    return {
        "kind": "bigquery#queryResponse",
        "jobComplete": True,
        "jobReference": job["jobReference"],
        "schema": {"fields": fields},
        "totalRows": str(len(result.rows)),
        "totalBytesProcessed": "0",
        "cacheHit": False,
        # A client takes an empty list for the first page.
        **({"rows": _told(kinds, shown, whole=whole)} if shown else {}),
        **next_page(start, len(shown), len(result.rows)),
    }


def rows_answer(request: Request, kinds: list[str], rows: Any) -> dict[str, Any]:
    """Return rows of these types as tabledata.list has them."""
    return {"rows": _told(kinds, rows, whole=whole_timestamps(request))}


def _told(kinds: list[str], rows: Any, *, whole: bool) -> list[dict[str, Any]]:
    """Return rows as answers have them; a TIMESTAMP is microseconds if `whole`, else seconds."""
    return [
        {
            "f": [
                {"v": _seconds(value) if kind == "TIMESTAMP" and value and not whole else value}
                for kind, value in zip(kinds, row, strict=True)
            ]
        }
        for row in rows
    ]


def _seconds(microseconds: str) -> str:
    number = int(microseconds)
    return f"{'-' if number < 0 else ''}{abs(number) // 10**6}.{abs(number) % 10**6:06}"


def whole_timestamps(request: Request) -> bool:
    """Tell whether a request wants a TIMESTAMP in microseconds."""
    return request.query_params.get("formatOptions.useInt64Timestamp", "").lower() == "true"


def next_page(start: int, shown: int, total: int) -> dict[str, str]:
    """Return the token of the next page, where there is one."""
    return {"pageToken": str(start + shown)} if shown and start + shown < total else {}


def paging(request: Request) -> tuple[int, int]:
    """Return the first row that is wanted, and how many."""
    query = request.query_params
    texts = [query.get("pageToken") or query.get("startIndex") or "0", query.get("maxResults")]
    for text in texts:
        if text and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise Refused(400, f"Invalid value: {ascii(text)[:40]}")
    most = PAGE if not texts[1] else min(int(texts[1]), PAGE)
    return int(texts[0] or 0), most
