"""The laptop's AWS as a server: what its clients rely on."""

import http.client
import os
import signal

import processes
import supervision
from tests.support import free_port, serving

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


def ask(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/", body="Action=GetCallerIdentity&Version=2011-06-15")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_an_idle_connection_stays_open_for_longer_than_clients_keep_it(tmp_path):
    """Else a request may come while the server closes it: carried out, but not answered."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(tmp_path),
        "GATEWAY_PORT": str(port),
    }
    health = f"http://127.0.0.1:{port}/_ministack/health"
    with serving(supervision.aws_command(port), environ, health=health, log=tmp_path / "log"):
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        first = ask(kept)
        assert kept.sock is not None  # not announced as the last answer on it
        server = processes.holder(port)
        assert server is not None
        assert server.pid is not None
        os.kill(server.pid, signal.SIGUSR1)
        for _ in range(3):  # each takes several turns of the event loop: what is due is done
            other = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            assert ask(other) == first
            other.close()
        assert ask(kept) == first
        kept.close()
