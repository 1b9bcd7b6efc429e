"""The laptop's stack: the AWS of the laptop, a database and the outside world, on loopback.

A stack is one base port and one folder. `python local/stack.py up|down|status` starts, stops and
shows its three processes (ministack, MariaDB, sandbox), which one supervisor keeps alive; what
Terraform and lambroll put into them is not this module's business.
"""

import fcntl
import hashlib
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import psutil
import pymysql

import database
import files
import processes
import terraform_cli
from supervisor_api import USER as SUPERVISOR_USER
from supervisor_api import Program, Supervisor

ROOT = Path(__file__).resolve().parent.parent
REGION = "ap-northeast-1"
MACKEREL_SERVICES = ("ore-no-service",)
PROGRAMS = ("ministack", "mariadb", "sandbox")

# At the start of every secret of the laptop: a test that greps for it finds a leak.
SECRET_PREFIX = "laptop-secret-"  # noqa: S105

Say = Callable[[str], None]


class StackError(Exception):
    """What is wrong with the stack, and what to do, as text for a person."""


@dataclass(frozen=True)
class Secrets:
    """The random passwords and keys of one stack; kept in its secrets.json."""

    mackerel_api_key: str
    database_password: str
    database_admin_password: str
    supervisor_password: str


@dataclass(frozen=True)
class Stack:
    """A stack by its base port: its ports, addresses and folder. Making one starts nothing."""

    port: int = 4600
    root: Path = ROOT
    sandbox_app: str = field(default="sandbox.app:app", repr=False)
    sandbox_path: Path = field(default=ROOT / "local", repr=False)

    def __post_init__(self) -> None:
        """Refuse a base port that leaves no room for the four."""
        if not 1024 <= self.port <= 65532:
            raise StackError(f"MIMAMORI_PORT takes a number from 1024 to 65532, not {self.port}")

    @classmethod
    def current(cls) -> "Stack":
        """Return the stack that MIMAMORI_PORT names, or the usual one at 4600."""
        text = os.environ.get("MIMAMORI_PORT") or "4600"
        if not text.isdecimal():
            raise StackError(f"MIMAMORI_PORT takes a number from 1024 to 65532, not {text!r}")
        return cls(port=int(text))

    @property
    def folder(self) -> Path:
        """Where all of the stack's files are; absolute."""
        return self.root / f".local/stack-{self.port}"

    @property
    def sandbox_port(self) -> int:
        """The sandbox's port."""
        return self.port + 1

    @property
    def database_port(self) -> int:
        """MariaDB's port."""
        return self.port + 2

    @property
    def supervisor_port(self) -> int:
        """The port of supervisor's own web server."""
        return self.port + 3

    @property
    def aws_url(self) -> str:
        """The laptop's AWS: AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox, which plays the outside world."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def inbox_url(self) -> str:
        """What the sandbox received."""
        return f"{self.sandbox_url}/inbox"

    @property
    def database_ca(self) -> Path:
        """The certificate, in PEM, that vouches for the database; there once the stack was up."""
        return self.folder / "tls/ca.pem"

    @property
    def state_url(self) -> str:
        """Terraform's state, as lambroll reads it."""
        return "s3://mimamori-local-tfstate/terraform.tfstate"

    def secrets(self) -> Secrets:
        """Read the stack's secrets; StackError if it was never up."""
        found = _read_secrets(self.folder / "secrets.json")
        try:
            return Secrets(**found)
        except TypeError as error:
            raise StackError(f"{self.folder} has no secrets yet: run 'make up'") from error

    def environment(self) -> dict[str, str]:
        """Return the variables that `make env` exports, but for the estate's TF_VAR_*."""
        lock = self.root / "terraform/.terraform.lock.hcl"
        data_dir = terraform_cli.data_dir_of("local", self.folder)
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "INBOX_URL": self.inbox_url,
            "LAMBROLL_TFSTATE": self.state_url,
            **terraform_cli.environment(data_dir, lock=lock),
        }

    def shell(self) -> dict[str, str]:
        """Return the environment for a command on this stack: the person's, with AWS exchanged.

        A profile, token or endpoint meant for the real AWS would otherwise reach the laptop's.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        beside = [v for v in (kept.get("NO_PROXY"), "127.0.0.1", "localhost") if v]
        return {**kept, "NO_PROXY": ",".join(beside), **self.environment()}

    def connect(self, user: Literal["admin", "reader"] = "admin") -> "pymysql.Connection[Any]":
        """Connect to the database `service`, as the one who fills it or the one who reads."""
        known = self.secrets()
        name, password = {
            "admin": (database.ADMIN, known.database_admin_password),
            "reader": (database.READER, known.database_password),
        }[user]
        return database.connect(self.database_port, name, password, self.database_ca)

    def port_of(self, program: str) -> int:
        """Return the port of one of `PROGRAMS`."""
        ports = {
            "ministack": self.port,
            "sandbox": self.sandbox_port,
            "mariadb": self.database_port,
            "supervisor": self.supervisor_port,
        }
        return ports[program]

    def log_of(self, program: str) -> Path:
        """Return the log file of one of `PROGRAMS`, or of `supervisor`."""
        return self.folder / "logs" / f"{program}.log"


@dataclass(frozen=True)
class Status:
    """One row of `status`; `uptime` in seconds, `pid` and `uptime` None where nothing runs."""

    name: str
    state: str
    address: str
    pid: int | None
    uptime: int | None
    log: Path


# ---- start, stop, status, control


def start(stack: Stack, say: Say = print) -> bool:
    """Bring the three processes up and wait until each is healthy; True if anything was done.

    On a healthy stack it changes nothing and says so. What a killed stack left behind is ended and
    made whole; a port that another program holds is a StackError, and that program is left alone.
    """
    began = time.monotonic()
    with _locked(stack, say):
        made = _prepare(stack)
        supervisor = _alive(stack)
        if supervisor is None:
            done = _launch(stack, say)
        else:
            done = _mend(stack, supervisor, say, restart_database=made)
        _wait_healthy(stack)
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
    supervisor = _alive(stack)
    running = {} if supervisor is None else supervisor.programs()
    rows = [_row(stack, name, running.get(name)) for name in PROGRAMS]
    if supervisor is None:
        return [*rows, _row(stack, "supervisor", None)]
    pid = supervisor.pid()
    born = int(psutil.Process(pid).create_time())
    now = int(time.time())
    return [*rows, _row(stack, "supervisor", Program("supervisor", "RUNNING", pid, born, now, ""))]


def control(
    stack: Stack,
    action: Literal["start", "stop"],
    program: Literal["ministack", "mariadb", "sandbox"],
) -> None:
    """Stop one process of a running stack and wait until it is gone, or start it until healthy."""
    supervisor = _alive(stack)
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
    _wait_healthy(stack, programs=(program,))


_UP = ("RUNNING", "STARTING", "BACKOFF")


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


# ---- starting


def _prepare(stack: Stack) -> bool:
    """Make the secrets, certificates and settings that are missing; True if there were any."""
    (stack.folder / "logs").mkdir(exist_ok=True)
    path = stack.folder / "secrets.json"
    found = _read_secrets(path)
    known = Secrets(**{f.name: found.get(f.name) or _new_secret(f.name) for f in fields(Secrets)})
    made = files.write(path, json.dumps(asdict(known), indent=2) + "\n")
    made |= database.ensure_certificates(stack.folder / "tls")
    made |= database.write_settings(
        stack.folder, stack.database_port, known.database_password, known.database_admin_password
    )
    return made


def _new_secret(name: str) -> str:
    return f"{SECRET_PREFIX}{name.replace('_', '-')}-{secrets.token_hex(16)}"


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    names = [f.name for f in fields(Secrets)]
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if k in names and isinstance(v, str) and v}


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
    environment = _base_environment(stack)
    database.ensure_data(stack.folder / "database", environment)
    config = stack.folder / "supervisord.conf"
    files.write(config, _configuration(stack))
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
        raise StackError(f"supervisor did not start:\n{_tail(first_words)}")
    return True


def _mend(stack: Stack, supervisor: Supervisor, say: Say, *, restart_database: bool) -> bool:
    """Bring a living supervisor's programs to what they should be; True if anything was done."""
    changed: list[str] = []
    if files.write(stack.folder / "supervisord.conf", _configuration(stack)):
        changed = supervisor.reload()
    for name, program in supervisor.programs().items():
        if name == "mariadb" and restart_database and name not in changed:
            if program.state in _UP:
                supervisor.stop(name)
        elif program.state in _UP:
            continue
        _refuse_taken_port(stack, name)
        if name == "mariadb":
            database.ensure_data(stack.folder / "database", _base_environment(stack))
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


def _base_environment(stack: Stack) -> dict[str, str]:
    """Return what every process of the stack starts with; nothing of the person's shell.

    A profile, a token, a proxy or a PYTHONPATH would reach the functions, which inherit it.
    """
    return {
        processes.MARKER: str(stack.folder),
        "HOME": str(stack.folder / "home"),
        "TMPDIR": str(stack.folder / "tmp"),
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",  # as on AWS Lambda
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _configuration(stack: Stack) -> str:
    """Write out supervisord.conf: the three programs, each with its environment."""
    known = stack.secrets()
    ministack = {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(stack.port),
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(stack.folder / "ministack/s3"),
        "STATE_DIR": str(stack.folder / "ministack/state"),
        # Listeners on ports of their own, which two stacks would fight for.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Never a person's Docker: ministack clears away the containers that it finds there.
        "DOCKER_HOST": f"unix://{stack.folder}/ministack/no-docker.sock",
        # The functions inherit these two.
        "AWS_ENDPOINT_URL_CLOUDWATCH": stack.sandbox_url,
        "MACKEREL_APIBASE": stack.sandbox_url,
    }
    sandbox = {
        "SANDBOX_DIR": str(stack.folder / "sandbox"),
        "SANDBOX_AWS_ENDPOINT": stack.aws_url,
        "SANDBOX_MACKEREL_API_KEY": known.mackerel_api_key,
        "SANDBOX_MACKEREL_SERVICES": ",".join(MACKEREL_SERVICES),
        # Changed code is a changed configuration, so the next start restarts the sandbox.
        "SANDBOX_CODE": _digest(stack.sandbox_path),
    }
    # -P: a program's working folder is no place to import from.
    aws = [str(stack.root / ".local/ministack/bin/python"), "-P", "-m", "ministack"]
    uvicorn = [
        *(sys.executable, "-P", "-m", "uvicorn", "--app-dir", str(stack.sandbox_path)),
        *("--host", "127.0.0.1", "--port", str(stack.sandbox_port), stack.sandbox_app),
    ]
    user = "user = root\n" if os.geteuid() == 0 else ""  # it warns of running as root unasked
    parts = [
        f"""[supervisord]
nodaemon = false
pidfile = %(here)s/supervisord.pid
logfile = %(here)s/logs/supervisor.log
logfile_maxbytes = 1MB
logfile_backups = 1
childlogdir = %(here)s/logs
umask = 077
{user}
[inet_http_server]
port = 127.0.0.1:{stack.supervisor_port}
username = {SUPERVISOR_USER}
password = {known.supervisor_password}

[supervisorctl]
serverurl = http://127.0.0.1:{stack.supervisor_port}
username = {SUPERVISOR_USER}
password = {known.supervisor_password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
""",
        _program("ministack", aws, ministack, stop_seconds=5),
        # Time to write back what it holds in memory.
        _program("mariadb", database.command(), {}, stop_seconds=20),
        _program("sandbox", uvicorn, sandbox, stop_seconds=5),
    ]
    return "\n".join(parts)


def _program(
    name: str, command: list[str], environment: dict[str, str], *, stop_seconds: int
) -> str:
    variables = ",".join(f"{key}={_quote(value)}" for key, value in environment.items())
    return f"""[program:{name}]
command = {" ".join(_quote(word) for word in command)}
directory = %(here)s
environment = {variables}
autostart = true
autorestart = true
startsecs = 1
startretries = 2
stopsignal = TERM
stopwaitsecs = {stop_seconds}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = %(here)s/logs/{name}.log
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 1
"""


def _quote(word: str) -> str:
    """`word` as supervisor reads it back: in quotes, its own % signs doubled."""
    if any(character in word for character in '"\\\n') or " ;" in word:
        raise StackError(f"The project's folder has a name that supervisor cannot take: {word}")
    return '"' + word.replace("%", "%%") + '"'


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted((folder / "sandbox").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


# ---- is it alive, is it healthy


def _alive(stack: Stack) -> Supervisor | None:
    """Return the stack's supervisor if it answers and is this stack's own."""
    password = _read_secrets(stack.folder / "secrets.json").get("supervisor_password")
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


def _wait_healthy(stack: Stack, programs: tuple[str, ...] = PROGRAMS, seconds: float = 60) -> None:
    """Wait until `programs` do their work; StackError with the end of the log of one that fails."""
    deadline = time.monotonic() + seconds
    waiting = list(programs)
    supervisor: Supervisor | None = None
    while waiting:
        supervisor = supervisor or _alive(stack)
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


def _failure(stack: Stack, name: str, what: str) -> str:
    log = stack.log_of(name)
    return f"{name} {what}. The end of {log}:\n{_tail(log)}"


def _tail(path: Path, lines: int = 15) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


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


def _shut_down(stack: Stack) -> None:
    supervisor = _alive(stack)
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


# ---- the command line


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


def main(arguments: list[str]) -> int:
    """`up`, `down` or `status` of the stack that MIMAMORI_PORT names; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in ("up", "down", "status"):
        print("usage: python local/stack.py up|down|status", file=sys.stderr)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
