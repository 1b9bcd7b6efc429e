"""Steps of a long command as a person sees them: what is under way, what is done, how long it took.

Steps may run side by side, so each becomes one line when it is over. Below these lines a terminal
shows what is under way; elsewhere (a log) that is said every ten seconds.
"""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_CLEAR = "\r\x1b[K"

_lock = threading.Lock()
_under_way: dict[str, float] = {}  # when each began, by its title
_over = threading.Event()


@contextmanager
def step(title: str) -> Iterator[list[str]]:
    """Run the body as one step, from any thread: its title, result and seconds become a line.

    The body may append to the list it is given: that becomes the step's result.
    """
    words: list[str] = []
    began = time.monotonic()
    with _lock:
        _under_way[title] = began
        if len(_under_way) == 1:
            _over.clear()
            threading.Thread(target=_show_what_is_under_way, daemon=True).start()
    try:
        yield words
    except BaseException:
        words[:] = ["FAILED"]
        raise
    finally:
        with _lock:
            del _under_way[title]
            if not _under_way:
                _over.set()
            _print(f"{title}: {' '.join(words) or 'done'} ({time.monotonic() - began:.1f} s)")


def say(line: str) -> None:
    """Print a line of its own, also while steps are under way."""
    with _lock:
        _print(line)


def _print(line: str) -> None:
    terminal = sys.stdout.isatty()
    print(f"{_CLEAR if terminal else ''}{line}", flush=True)
    if terminal and _under_way:
        _print_under_way()


def _print_under_way() -> None:
    now = time.monotonic()
    line = ", ".join(f"{title} {now - began:.0f} s" for title, began in _under_way.items())
    if sys.stdout.isatty():
        # One line of the terminal, and no more: a longer one could not be taken back.
        line = f"… {line}"[: shutil.get_terminal_size().columns - 1]
        print(f"{_CLEAR}{line}", end="", flush=True)
    else:
        print(f"… {line}", flush=True)


def _show_what_is_under_way() -> None:
    while not _over.wait(1 if sys.stdout.isatty() else 10):
        with _lock:
            if _under_way:
                _print_under_way()
