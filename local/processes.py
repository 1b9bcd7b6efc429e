"""Which processes belong to a stack, and who holds a port."""

import errno
import os
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

# Every process of a stack has this variable, with the stack's folder, in its environment; nothing
# exports it to a shell, so it tells ours from all others, also when their parent has died.
MARKER = "MIMAMORI_STACK"


@dataclass(frozen=True)
class Holder:
    """Who listens on a port; `pid` and `name` are None for another user's process."""

    port: int
    pid: int | None
    name: str | None

    def __str__(self) -> str:
        """`process 12 (nginx)`, or as much as may be known."""
        if self.pid is None:
            return "a process of another user"
        return f"process {self.pid} ({self.name or 'unknown'})"


def belongs(process: psutil.Process, folder: Path) -> bool:
    """Whether `process` was started by the stack in `folder`."""
    try:
        return process.environ().get(MARKER) == str(folder)
    except (psutil.Error, OSError):
        return False


def of_stack(folder: Path) -> list[psutil.Process]:
    """All living processes of the stack in `folder`, whoever their parent is now."""
    own = os.getpid()
    return [p for p in psutil.process_iter() if p.pid != own and belongs(p, folder)]


def holder(port: int) -> Holder | None:
    """Who listens on 127.0.0.1:`port`; None if it is free."""
    if _free(port):
        return None
    for process in psutil.process_iter(["pid", "name"]):
        try:
            listens = any(
                c.laddr.port == port and c.status == psutil.CONN_LISTEN
                for c in process.net_connections(kind="tcp")
            )
        except (psutil.Error, OSError):
            continue
        if listens:
            return Holder(port, process.pid, process.info["name"])
    return Holder(port, None, None)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do it: connections that linger in TIME_WAIT are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def wait_until_gone(folder: Path, seconds: float) -> list[psutil.Process]:
    """Wait until the stack in `folder` has no process left; return those that still live then."""
    deadline = time.monotonic() + seconds
    while (left := of_stack(folder)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.1)
    return left


def end_all(folder: Path, seconds: float = 20) -> list[str]:
    """End all processes of the stack in `folder`, politely, then by force; return their names."""
    victims = of_stack(folder)
    names = [_name(p) for p in victims]
    _signal(victims, signal.SIGTERM)
    left = wait_until_gone(folder, seconds)
    while left:
        _signal(left, signal.SIGKILL)
        left = wait_until_gone(folder, 1)
    return names


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "?"


def _signal(victims: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in victims:
        try:
            process.send_signal(number)  # psutil refuses a pid that was reused since
        except psutil.NoSuchProcess:
            continue
