"""Show what functions logged: `python scripts/logs.py ENV MINUTES [FUNCTION …]`."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import environment
from command import CommandError, run

SHOWN_ELSEWHERE = {"timestamp", "level", "message", "logger"}


def lines(logs: Any, group: str, since: float) -> Iterator[tuple[int, str]]:
    """Yield (epoch milliseconds, text) of what is in a log group since an epoch second."""
    pages = logs.get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=group, startTime=int(since * 1000)):
        for event in page["events"]:
            yield event["timestamp"], event["message"].rstrip()


def readable(text: str) -> str:
    """Return a line of JSON as words; any other line as it is."""
    try:
        line: Any = json.loads(text)
    except ValueError:
        return text
    match line:
        case {"log_level": "ERROR", "errorType": kind, "errorMessage": words}:
            # Lambda's runtime, of a function that raised, or could not even be imported.
            return "".join([f"ERROR {kind}: {words}", *_stack(line)])
        case {"type": "platform.report", "record": {"status": status} as record}:
            took = record.get("metrics", {}).get("durationMs")
            kind = record.get("errorType", "")
            level = "INFO" if status == "success" else "ERROR"
            return f"{level} run ended: {status} {kind} durationMs={took}".replace("  ", " ")
        case {"level": level, "message": message}:
            pass
        case _:
            return text
    rest = " ".join(f"{key}={value}" for key, value in line.items() if key not in SHOWN_ELSEWHERE)
    return f"{level} {message} {rest}".rstrip()


def _stack(line: dict[str, Any]) -> list[str]:
    return [f"\n    {text.strip()}" for text in line.get("stackTrace") or []]


def main(env: str, minutes: str, *names: str) -> None:
    """Print the lines of all functions asked for, in the order of time."""
    since = time.time() - 60 * _positive(minutes)
    functions = environment.functions(env, " ".join(names))
    logs = environment.client(env, "logs")
    found = [
        (at, name, text)
        for name, about in functions.items()
        for at, text in lines(logs, about["log_group"], since)
    ]
    zone = zone_of(functions)
    for at, name, text in sorted(found, key=lambda line: line[0]):
        clock = datetime.fromtimestamp(at / 1000, zone)
        print(f"{clock:%H:%M:%S %Z} {name}: {readable(text)}")


def zone_of(functions: Mapping[str, Mapping[str, Any]]) -> ZoneInfo:
    """Return the time zone of an environment: the one that its functions have, else Tokyo's."""
    told = {about["environment"].get("TIMEZONE") for about in functions.values()} - {None}
    return ZoneInfo(told.pop() if len(told) == 1 else "Asia/Tokyo")


def _positive(minutes: str) -> float:
    try:
        number = float(minutes)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise CommandError(f"MINUTES takes a number above 0, not {minutes!r}")
    return number


if __name__ == "__main__":
    run(main)
