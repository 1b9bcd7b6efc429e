"""Show what functions logged: `python scripts/logs.py ENV MINUTES [FUNCTION …]`."""

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import build
import environment

SHOWN_ELSEWHERE = {"timestamp", "level", "message", "logger"}


def lines(env: str, function: str, since: float) -> Iterator[tuple[int, str]]:
    """Yield (epoch milliseconds, text) of what a function logged since an epoch second."""
    group = environment.outputs(env)["functions"][function]["log_group"]
    pages = environment.client(env, "logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=group, startTime=int(since * 1000)):
        for event in page["events"]:
            yield event["timestamp"], event["message"].rstrip()


def readable(text: str) -> str:
    """Return a line of JSON as words; any other line as it is."""
    try:
        line: Any = json.loads(text)
        level, message = line["level"], line["message"]
    except (ValueError, KeyError, TypeError):
        return text
    rest = " ".join(f"{key}={value}" for key, value in line.items() if key not in SHOWN_ELSEWHERE)
    return f"{level} {message} {rest}".rstrip()


def main(env: str, minutes: str, *names: str) -> None:
    """Print the lines of all functions asked for, in the order of time."""
    if not environment.outputs(env):
        raise SystemExit(f"nothing is applied in {env} yet")
    since = time.time() - 60 * float(minutes)
    found = [
        (at, name, text)
        for name in build.chosen(" ".join(names))
        for at, text in lines(env, name, since)
    ]
    for at, name, text in sorted(found, key=lambda line: line[0]):
        clock = datetime.fromtimestamp(at / 1000).astimezone()
        print(f"{clock:%H:%M:%S} {name}: {readable(text)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
