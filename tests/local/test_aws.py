"""The laptop's AWS as a server: what its clients rely on."""

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import processes
import supervision
from tests.support import free_port, serving, until

# Loaded when Python starts: at SIGUSR1 the event loop's clock goes an hour ahead.
CLOCK = """
import asyncio, signal, time
ahead = 0
def go_ahead(*_):
    global ahead
    ahead += 3600
signal.signal(signal.SIGUSR1, go_ahead)
asyncio.BaseEventLoop.time = lambda _: time.monotonic() + ahead
"""
# Whatever is written to a client, the next is written 200 ms later.
SLOW = """
import asyncio.selector_events, time
write = asyncio.selector_events._SelectorSocketTransport.write
def slowly(*arguments):
    write(*arguments)
    time.sleep(0.2)
asyncio.selector_events._SelectorSocketTransport.write = slowly
"""


def ask(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/", body="Action=GetCallerIdentity&Version=2011-06-15")
    answer = connection.getresponse()
    answer.read()
    return answer.status


@contextmanager
def served(folder: Path, code: str = "") -> Iterator[int]:
    """Serve an AWS that runs `code` when Python starts; yield its port."""
    (folder / "sitecustomize.py").write_text(code)
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(folder),
        "GATEWAY_PORT": str(port),
    }
    health = f"http://127.0.0.1:{port}/_ministack/health"
    with serving(supervision.aws_command(port), environ, health=health, log=folder / "log"):
        yield port


def pid(port: int) -> int:
    server = processes.holder(port)
    assert server is not None
    assert server.pid is not None
    return server.pid


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def test_an_idle_connection_stays_open_for_longer_than_clients_keep_it(tmp_path):
    """Else a request may come while the server closes it: carried out, but not answered."""
    with served(tmp_path, CLOCK) as port:
        kept = connect(port)
        first = ask(kept)
        assert kept.sock is not None  # not announced as the last answer on it
        os.kill(pid(port), signal.SIGUSR1)
        for _ in range(3):  # each takes several turns of the event loop: what is due is done
            other = connect(port)
            assert ask(other) == first
            other.close()
        assert ask(kept) == first
        kept.close()


def test_no_number_of_requests_closes_a_connection(tmp_path):
    with served(tmp_path) as port:
        kept = connect(port)
        for _ in range(1200):
            ask(kept)
            assert kept.sock is not None
        kept.close()


def test_what_a_client_closes_is_closed(tmp_path):
    """Else each connection takes one of the server's open files, until there are none left."""
    with served(tmp_path) as port:
        folder = Path(f"/proc/{pid(port)}/fd")
        ask(first := connect(port))
        before = len(list(folder.iterdir()))
        for _ in range(50):
            ask(other := connect(port))
            other.close()
        until(lambda: len(list(folder.iterdir())) <= before)
        first.close()


def test_an_answer_is_written_in_one_piece(tmp_path):
    """Else the AWS SDK for Go may close the connection between the head and the rest."""
    with served(tmp_path, SLOW) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(20)
        client.sendall(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, _, body = client.recv(1_000_000).partition(b"\r\n\r\n")
        length = f"content-length: {len(body)}".encode()
        assert length in head.lower()
        assert body.endswith(b"}")
