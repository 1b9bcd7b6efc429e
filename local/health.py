"""Whether a stack's supervisor lives, and whether its programs do their work."""

import http.client
import time
import xmlrpc.client
from pathlib import Path

import psutil
import pymysql

import processes
from stack import PROGRAMS, Stack, StackError, read_secrets
from supervisor_api import Supervisor


def alive(stack: Stack) -> Supervisor | None:
    """Return the stack's supervisor if it answers and is this stack's own."""
    password = read_secrets(stack.folder / "secrets.json").get("supervisor_password")
    if password is None:
        return None
    supervisor = Supervisor(stack.supervisor_port, password)
    try:
        # By its file first: whoever else holds the port is not told the password.
        pid = int((stack.folder / "supervisord.pid").read_text(encoding="ascii"))
        if processes.belongs(psutil.Process(pid), stack.folder) and supervisor.pid() == pid:
            return supervisor
    except (OSError, ValueError, OverflowError, xmlrpc.client.Error, psutil.Error):
        pass
    return None


def wait_healthy(stack: Stack, programs: tuple[str, ...] = PROGRAMS, seconds: float = 60) -> None:
    """Wait until `programs` do their work; StackError with the end of the log of one that fails."""
    deadline = time.monotonic() + seconds
    waiting = list(programs)
    supervisor: Supervisor | None = None
    while waiting:
        supervisor = supervisor or alive(stack)
        states = supervisor.programs() if supervisor else {}
        for name in list(waiting):
            state = states[name].state if name in states else "not started"
            if state == "RUNNING" and _healthy(stack, name):
                waiting.remove(name)
            elif state in ("FATAL", "EXITED", "STOPPED", "UNKNOWN"):
                raise StackError(_failure(stack, name, f"did not start ({state.lower()})"))
        if waiting and time.monotonic() > deadline:
            name = waiting[0]
            raise StackError(_failure(stack, name, f"gave no sign of life in {seconds:.0f} s"))
        if waiting:
            time.sleep(0.1)


def _healthy(stack: Stack, program: str) -> bool:
    if program == "mariadb":
        try:
            stack.connect("reader").close()
        except (pymysql.Error, OSError, StackError):
            return False
        return True
    path = "/_ministack/health" if program == "ministack" else "/health"
    connection = http.client.HTTPConnection("127.0.0.1", stack.port_of(program), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _failure(stack: Stack, name: str, what: str) -> str:
    log = stack.log_of(name)
    return f"{name} {what}. The end of {log}:\n{tail(log)}"


def tail(path: Path, lines: int = 15) -> str:
    """Return the last `lines` of a log, indented, for an error's text."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"
