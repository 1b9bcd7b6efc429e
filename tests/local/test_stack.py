"""A real stack on ports of its own: it starts, survives, is mended, and goes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pymysql
import pytest

import health
import laptop
import lifecycle
import processes
from stack import PROGRAMS, ROOT, SECRET_PREFIX, Stack, StackError
from tests.support import until

COMMAND = [sys.executable, str(ROOT / "local/laptop.py")]


def pids(stack: Stack) -> dict[str, int | None]:
    return {row.name: row.pid for row in lifecycle.status(stack)}


def silent(_: str) -> None:
    pass


@contextmanager
def listener(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield


def test_all_run_and_answer(stack: Stack) -> None:
    rows = lifecycle.status(stack)
    assert [row.name for row in rows] == [*PROGRAMS, "supervisor"]
    assert {row.state for row in rows} == {"RUNNING"}
    assert all(row.pid and row.uptime is not None and row.log.is_file() for row in rows)
    text = laptop.table(rows)
    assert f"127.0.0.1:{stack.database_port}" in text
    assert len(text.splitlines()) == 5


def test_starting_again_changes_nothing(stack: Stack) -> None:
    before = pids(stack)
    said: list[str] = []
    assert not lifecycle.start(stack, said.append)
    assert said == [f"The stack at {stack.aws_url} is already up: nothing changed."]
    assert pids(stack) == before


def test_nothing_of_the_shell_gets_in(
    new_stack: Callable[[], Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH", "HTTP_PROXY", "SFN_WAIT_SCALE"):
        monkeypatch.setenv(name, "leak")
    stack = new_stack()
    lifecycle.start(stack, silent)
    for process in processes.of_stack(stack.folder):
        assert "leak" not in process.environ().values()
    assert lifecycle.stop(stack, silent)


def test_only_loopback(stack: Stack) -> None:
    listening = {
        connection.laddr.ip
        for process in processes.of_stack(stack.folder)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_process_comes_back(stack: Stack, program: str) -> None:
    victim = pids(stack)[program]
    assert victim
    os.kill(victim, signal.SIGKILL)
    until(lambda: pids(stack)[program] not in (victim, None))
    lifecycle.start(stack, silent)
    assert {row.state for row in lifecycle.status(stack)} == {"RUNNING"}


def test_a_killed_supervisor_is_mended(stack: Stack) -> None:
    before = pids(stack)
    supervisor = before["supervisor"]
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: health.alive(stack) is None)
    assert {row.state for row in lifecycle.status(stack)} == {"STOPPED"}
    assert processes.of_stack(stack.folder)
    said: list[str] = []
    assert lifecycle.start(stack, said.append)
    assert "left behind" in said[0]
    after = pids(stack)
    assert not set(before.values()) & set(after.values())
    assert {p.pid for p in processes.of_stack(stack.folder)} == set(after.values())


@pytest.mark.parametrize("offset", range(4))
def test_a_taken_port_is_named_and_left_alone(new_stack: Callable[[], Stack], offset: int) -> None:
    stack = new_stack()
    port = stack.port + offset
    with listener(port):
        with pytest.raises(StackError) as caught:
            lifecycle.start(stack, silent)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    text = str(caught.value)
    assert f"Port {port}" in text
    assert f"process {os.getpid()} ({psutil.Process().name()})" in text
    assert f"'MIMAMORI_PORT={stack.port + 100} make up'" in text
    assert not processes.of_stack(stack.folder)


def test_stop_and_start_one_process(stack: Stack) -> None:
    lifecycle.control(stack, "stop", "mariadb")
    assert {r.name for r in lifecycle.status(stack) if r.state == "STOPPED"} == {"mariadb"}
    with pytest.raises(pymysql.OperationalError):
        stack.connect("reader")
    lifecycle.control(stack, "start", "mariadb")
    stack.connect("reader").close()
    lifecycle.control(stack, "start", "mariadb")  # started already: no error


def test_a_process_that_fails_shows_its_log(stack: Stack) -> None:
    settings = stack.folder / "mariadb.cnf"
    lifecycle.control(stack, "stop", "mariadb")
    with settings.open("a", encoding="utf-8") as file:
        file.write("no-such-option = 1\n")
    with pytest.raises(StackError, match="unknown variable 'no-such-option=1'"):
        lifecycle.control(stack, "start", "mariadb")
    lifecycle.start(stack, silent)  # which writes the settings anew
    stack.connect("reader").close()


def test_half_made_files_are_made_whole(stack: Stack) -> None:
    lifecycle.stop(stack, silent)
    (stack.folder / "secrets.json").write_text('{"mackerel_api_', encoding="utf-8")
    (stack.folder / "tls/server.key").write_text("", encoding="utf-8")
    (stack.folder / "supervisord.conf").write_text("[supervis", encoding="utf-8")
    (stack.folder / "init.sql").unlink()
    (stack.folder / "database.new").mkdir()
    lifecycle.start(stack, silent)
    stack.connect("reader").close()


def test_files_lost_under_a_running_stack_are_made_again(stack: Stack) -> None:
    (stack.folder / "tls/ca.pem").unlink()
    assert lifecycle.start(stack, silent)
    stack.connect("reader").close()
    (stack.folder / "secrets.json").unlink()
    assert lifecycle.start(stack, silent)
    stack.connect("reader").close()


def test_a_first_start_killed_midway_is_mended(
    new_stack: Callable[[], Stack], tmp_path: Path
) -> None:
    stack = new_stack()
    # It comes as far as half a data folder, and no further.
    install = tmp_path / "mariadb-install-db"
    install.write_text("#!/bin/sh\nmkdir database.new && exec sleep 300\n", encoding="ascii")
    install.chmod(0o755)
    first = subprocess.Popen(
        [*COMMAND, "up"],
        env={
            **os.environ,
            "MIMAMORI_PORT": str(stack.port),
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    until((stack.folder / "database.new").exists)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (stack.folder / "database").exists()
    lifecycle.start(stack, silent)
    stack.connect("reader").close()


def test_the_command_lets_go_of_its_pipes(new_stack: Callable[[], Stack]) -> None:
    stack = new_stack()
    environment = {**os.environ, "MIMAMORI_PORT": str(stack.port)}

    def run(word: str) -> str:
        # This returns when the pipes are closed, not only when the command ended.
        done = subprocess.run(
            [*COMMAND, word],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    assert "is up at" in run("up")
    assert run("status").count("RUNNING") == 4
    assert run("down") == "The stack is stopped.\n"
    assert run("down") == "The stack is not running.\n"
    assert run("status").count("STOPPED") == 4
    assert not processes.of_stack(stack.folder)


@pytest.mark.parametrize("text", ["80", "65533", "x", "-1"])
def test_a_bad_base_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MIMAMORI_PORT", text)
    with pytest.raises(StackError, match="MIMAMORI_PORT takes a number"):
        Stack.current()


def test_secrets_are_private_and_recognisable(stack: Stack) -> None:
    for path in ("secrets.json", "supervisord.conf", "init.sql", "tls/server.key"):
        assert (stack.folder / path).stat().st_mode & 0o077 == 0
    assert stack.folder.stat().st_mode & 0o077 == 0
    known = stack.secrets()
    assert known.mackerel_api_key.startswith(SECRET_PREFIX)
    assert known.database_password.startswith(SECRET_PREFIX)
    for log in (stack.folder / "logs").iterdir():
        assert SECRET_PREFIX not in log.read_text(encoding="utf-8", errors="replace")
