"""What tests of several folders need: a free port, a server that runs meanwhile, patience."""

import contextlib
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import supervision


def until(look: Callable[[], Any], seconds: float = 60) -> Any:
    """Look until there is something true to see, and return that; fail after `seconds`.

    A deadline is there to end a test that would wait for ever: it is far longer than a slow, busy
    machine needs.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing to see after {seconds} s"
        time.sleep(0.05)
    return found


def one_at_a_time(patch: pytest.MonkeyPatch, place: type, name: str) -> None:
    """Let the calls of a method wait for each other, whatever thread they come from.

    Moto looks at a condition and then writes, without a lock: of several threads two succeed. With
    its `BotocoreStubber.process_request` it answers one request after another, as DynamoDB takes
    the writes to an item.
    """
    lock, call = threading.RLock(), getattr(place, name)

    def one(*arguments: Any) -> Any:
        with lock:
            return call(*arguments)

    patch.setattr(place, name, one)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    *,
    health: str,
    log: Path,
    seconds: float = 60,
) -> Iterator[None]:
    """Run a server until the block ends; it is up when the address `health` answers 200."""

    def healthy() -> bool:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(health, timeout=5).close()
            return True
        return False

    with running(command, environ, up=healthy, log=log, seconds=seconds):
        yield


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    *,
    up: Callable[[], Any],
    log: Path,
    cwd: Path | None = None,
    seconds: float = 60,
) -> Iterator[Any]:
    """Run a program until the block ends; it is up when `up` returns something true: yield that."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environ, cwd=cwd or log.parent, stdout=output, stderr=subprocess.STDOUT
        )

    def look() -> Any:
        assert process.poll() is None, f"it ended with {process.returncode}"
        return up()

    try:
        try:
            found = until(look, seconds)
        except AssertionError as error:
            raise AssertionError(log.read_text()) from error
        yield found
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def served_ministack(folder: Path) -> Iterator[str]:
    """Serve an AWS with nothing in it; yield its address."""
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    command = supervision.aws_command(port)
    with serving(command, environ, health=f"{url}/_ministack/health", log=folder / "log"):
        yield url
