"""Steps of a long command, as a person sees them: what is going on, that it lives, how long."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(title: str) -> Iterator[list[str]]:
    """Print the title, a dot every two seconds, and at the end the time and the words added.

    The body may append to the list it is given: that becomes the step's result.
    """
    words: list[str] = []
    over = threading.Event()
    began = time.monotonic()
    print(f"{title} ", end="", flush=True)

    def dots() -> None:
        while not over.wait(2):
            print(".", end="", flush=True)

    ticker = threading.Thread(target=dots, daemon=True)
    ticker.start()
    try:
        yield words
    except BaseException:
        words[:] = ["FAILED"]
        raise
    finally:
        over.set()
        ticker.join()
        print(f" {' '.join(words) or 'done'} ({time.monotonic() - began:.1f} s)", flush=True)
        sys.stdout.flush()
