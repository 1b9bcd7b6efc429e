"""The laptop's stack by hand: `python local/laptop.py up|down|status`."""

import sys
from pathlib import Path

import processes
from lifecycle import Status, start, status, stop
from stack import Stack, StackError


def main(arguments: list[str]) -> int:
    """`up`, `down` or `status` of the stack that MIMAMORI_PORT names; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in ("up", "down", "status"):
        print("usage: python local/laptop.py up|down|status", file=sys.stderr)
        return 2
    try:
        stack = Stack.current()
        if arguments[0] == "up":
            start(stack)
        elif arguments[0] == "down":
            stop(stack)
        else:
            rows = status(stack)
            print(table(rows))
            if rows[-1].pid is None and processes.of_stack(stack.folder):
                print("Left by a killed stack: 'make up' or 'make down' mends that.")
    except (StackError, FileNotFoundError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def table(rows: list[Status]) -> str:
    """Lay out the rows of `status` as a small table, the files relative to the working folder."""
    head = ("PROCESS", "STATE", "ADDRESS", "PID", "UP", "LOG")
    cells = [
        (r.name, r.state, r.address, _text(r.pid), _duration(r.uptime), _short(r.log)) for r in rows
    ]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = (
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in [head, *cells]
    )
    return "\n".join(line.rstrip() for line in lines)


def _text(value: int | None) -> str:
    return "-" if value is None else str(value)


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
