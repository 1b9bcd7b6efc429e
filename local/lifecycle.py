"""Start, stop and look at a stack's processes."""

import fcntl
import json
import re
import secrets
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil

import database
import files
import processes
from health import alive, tail, wait_healthy
from stack import PROGRAMS, SECRET_PREFIX, Secrets, Stack, StackError, read_secrets
from supervision import base_environment, configuration
from supervisor_api import Program, Supervisor

Say = Callable[[str], None]

_UP = ("RUNNING", "STARTING", "BACKOFF")


@dataclass(frozen=True)
class Status:
    """One row of `status`; `uptime` in seconds, `pid` and `uptime` None where nothing runs."""

    name: str
    state: str
    address: str
    pid: int | None
    uptime: int | None
    log: Path


def start(stack: Stack, say: Say = print) -> bool:
    """Bring the three processes up and wait until each is healthy; True if anything was done.

    On a healthy stack it changes nothing and says so. What a killed stack left behind is ended and
    made whole; a port that another program holds is a StackError, and that program is left alone.
    """
    began = time.monotonic()
    with _locked(stack, say):
        made = _prepare(stack)
        supervisor = alive(stack)
        if supervisor is None:
            done = _launch(stack, say)
        else:
            done = _mend(stack, supervisor, say, restart_database=made)
        wait_healthy(stack)
    if done:
        say(f"The stack is up at {stack.aws_url} ({time.monotonic() - began:.1f} s).")
    else:
        say(f"The stack at {stack.aws_url} is already up: nothing changed.")
    return done


def stop(stack: Stack, say: Say = print) -> bool:
    """End all processes of the stack and wait until they are gone; True if there were any."""
    if not stack.folder.is_dir():
        say("The stack is not running.")
        return False
    with _locked(stack, say):
        running = processes.of_stack(stack.folder)
        if running:
            _shut_down(stack)
    say("The stack is stopped." if running else "The stack is not running.")
    return bool(running)


def status(stack: Stack) -> list[Status]:
    """List the three processes and their supervisor, whatever state they are in."""
    supervisor = alive(stack)
    running = {} if supervisor is None else supervisor.programs()
    rows = [_row(stack, name, running.get(name)) for name in PROGRAMS]
    if supervisor is None:
        return [*rows, _row(stack, "supervisor", None)]
    pid = supervisor.pid()
    born = int(psutil.Process(pid).create_time())
    now = int(time.time())
    return [*rows, _row(stack, "supervisor", Program("supervisor", "RUNNING", pid, born, now, ""))]


def started_by_schedules(stack: Stack) -> dict[str, datetime]:
    """Return when the AWS last started each function for a rule; its log tells.

    It writes that down, to the second, when the run may be on its way or over. Names are the AWS's
    own, e.g. mimamori-local-db_to_cloudwatch. What was before the AWS was started anew is
    forgotten.
    """
    line = re.compile(r"(?m)^(\S+ \S+) INFO \[events\] EventBridge → Lambda (\S+): dispatched$")
    text = stack.log_of("ministack").read_text(encoding="utf-8")
    _, _, text = text.rpartition("services available on port")
    return {
        name: datetime.strptime(at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        for at, name in line.findall(text)
    }


def control(
    stack: Stack,
    action: Literal["start", "stop"],
    program: Literal["ministack", "mariadb", "sandbox"],
) -> None:
    """Stop one process of a running stack and wait until it is gone, or start it until healthy."""
    supervisor = alive(stack)
    if supervisor is None:
        raise StackError("The stack is not running: run 'make up'.")
    state = supervisor.programs()[program].state
    if action == "stop":
        if state in _UP:
            supervisor.stop(program)
        return
    if state not in _UP:
        _refuse_taken_port(stack, program)
        supervisor.start(program)
    wait_healthy(stack, programs=(program,))


def _row(stack: Stack, name: str, program: Program | None) -> Status:
    address = f"127.0.0.1:{stack.port_of(name)}"
    if program is None:
        return Status(name, "STOPPED", address, None, None, stack.log_of(name))
    up = program.state == "RUNNING"
    return Status(
        name,
        program.state,
        address,
        program.pid or None,
        program.now - program.started if up else None,
        stack.log_of(name),
    )


def _prepare(stack: Stack) -> bool:
    """Make the secrets, certificates and settings that are missing; True if there were any."""
    (stack.folder / "logs").mkdir(exist_ok=True)
    path = stack.folder / "secrets.json"
    found = read_secrets(path)
    known = Secrets(**{f.name: found.get(f.name) or _new_secret(f.name) for f in fields(Secrets)})
    made = files.write(path, json.dumps(asdict(known), indent=2) + "\n")
    made |= database.ensure_certificates(stack.folder / "tls")
    made |= database.write_settings(
        stack.folder, stack.database_port, known.database_password, known.database_admin_password
    )
    return made


def _new_secret(name: str) -> str:
    return f"{SECRET_PREFIX}{name.replace('_', '-')}-{secrets.token_hex(16)}"


def _launch(stack: Stack, say: Say) -> bool:
    orphans = processes.end_all(stack.folder)
    if orphans:
        say(f"Ended what a killed stack left behind: {', '.join(sorted(orphans))}.")
    for name in ("supervisor", *PROGRAMS):
        _refuse_taken_port(stack, name)
    # ministack keeps its state in memory: what an earlier one left on the disk is of no use.
    shutil.rmtree(stack.folder / "ministack", ignore_errors=True)
    shutil.rmtree(stack.folder / "tmp", ignore_errors=True)
    for name in ("ministack", "tmp", "home", "sandbox"):
        (stack.folder / name).mkdir(exist_ok=True)
    environment = base_environment(stack)
    database.ensure_data(stack.folder / "database", environment)
    config = stack.folder / "supervisord.conf"
    files.write(config, configuration(stack))
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(config)]
    # It makes a daemon of itself; what it is born with is this file, no pipe and no terminal.
    first_words = stack.folder / "logs/supervisor-start.log"
    with first_words.open("wb") as output:
        done = subprocess.run(
            command,
            env=environment,
            cwd=stack.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise StackError(f"supervisor did not start:\n{tail(first_words)}")
    return True


def _mend(stack: Stack, supervisor: Supervisor, say: Say, *, restart_database: bool) -> bool:
    """Bring a living supervisor's programs to what they should be; True if anything was done."""
    changed: list[str] = []
    if files.write(stack.folder / "supervisord.conf", configuration(stack)):
        changed = supervisor.reload()
    for name, program in supervisor.programs().items():
        if name == "mariadb" and restart_database and name not in changed:
            if program.state in _UP:
                supervisor.stop(name)
        elif program.state in _UP:
            continue
        _refuse_taken_port(stack, name)
        if name == "mariadb":
            database.ensure_data(stack.folder / "database", base_environment(stack))
        supervisor.start(name)
        changed.append(name)
    if changed:
        say(f"Started again: {', '.join(sorted(changed))}.")
    return bool(changed)


def _refuse_taken_port(stack: Stack, name: str) -> None:
    taken = processes.holder(stack.port_of(name))
    if taken is not None:
        raise StackError(
            f"Port {taken.port}, which {name} needs, is held by {taken}: end that, "
            f"or use other ports with 'MIMAMORI_PORT={_other_port(stack.port)} make up'."
        )


def _other_port(port: int) -> int:
    return port + 100 if port + 100 <= 65532 else 4600


def _shut_down(stack: Stack) -> None:
    supervisor = alive(stack)
    if supervisor is not None:
        try:
            supervisor.shutdown()
        except (OSError, xmlrpc.client.Error):
            supervisor = None
    if supervisor is not None:
        processes.wait_until_gone(stack.folder, 30)
    processes.end_all(stack.folder)


@contextmanager
def _locked(stack: Stack, say: Say) -> Iterator[None]:
    """Let only one start or stop of a stack be at work; a second one waits for it."""
    stack.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (stack.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start or stop of this stack is at work: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
