"""Real processes on free loopback ports: the sandbox, and the laptop's AWS behind it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-the-tests"
SERVICE = "ore-no-service"
REGION = "ap-northeast-1"


@dataclass(frozen=True)
class Server:
    url: str
    log: Path

    def inbox(self, **query):
        response = requests.get(f"{self.url}/inbox", params=query, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()

    def last(self):
        """Return the newest item's id, to ask for what comes after it."""
        items = self.inbox(limit=1)
        return items[-1]["id"] if items else 0

    def fault(self, **fault):
        response = requests.post(f"{self.url}/faults", json=fault, timeout=10)
        assert response.status_code == 201, response.text


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def serving(command, environ, *, url, health, log, seconds=60):
    """Run a server until the block ends; it is up when `health` answers 200."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environ, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(url + health, timeout=5).ok:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        yield Server(url, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def start_sandbox():
    """Return a function that runs a sandbox over a folder, as a context manager."""

    def start(folder, *, aws="http://127.0.0.1:9", **extra):
        port = free_port()
        environ = {
            **os.environ,
            "SANDBOX_DIR": str(folder / "data"),
            "SANDBOX_AWS_ENDPOINT": aws,
            "SANDBOX_MACKEREL_API_KEY": KEY,
            "SANDBOX_MACKEREL_SERVICES": f"{SERVICE},other",
            **extra,
        }
        command = [
            sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT / "local"), "sandbox.app:app",
            "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        return serving(
            command,
            environ,
            url=f"http://127.0.0.1:{port}",
            health="/health",
            log=folder / "sandbox.log",
        )

    return start


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """The laptop's AWS, with IAM enforced."""
    program = os.environ.get("MIMAMORI_MINISTACK") or ROOT / ".local/ministack/bin/ministack"
    folder = tmp_path_factory.mktemp("aws")
    port = free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    with serving(
        [str(program)],
        environ,
        url=f"http://127.0.0.1:{port}",
        health="/_ministack/health",
        log=folder / "ministack.log",
    ) as server:
        yield server


@pytest.fixture(scope="session")
def sandbox(start_sandbox, tmp_path_factory):
    """A sandbox with no AWS behind it, shared by the tests."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as server:
        yield server


@pytest.fixture(autouse=True)
def no_fault_is_left(request):
    """A test must use up the faults it asked for."""
    yield
    if "sandbox" in request.fixturenames:
        url = request.getfixturevalue("sandbox").url
        left = requests.get(f"{url}/faults", timeout=10).json()
        requests.delete(f"{url}/faults", timeout=10)
        assert left == []


@pytest.fixture(scope="session")
def front(aws, start_sandbox, tmp_path_factory):
    """A sandbox before the laptop's AWS."""
    with start_sandbox(tmp_path_factory.mktemp("front"), aws=aws.url) as server:
        yield server


@pytest.fixture(scope="session")
def client():
    """Return a function that makes a boto3 client of a service at a server, one try a call."""

    def make(service, server, key="test", secret="test", token=None, **config):
        return boto3.client(
            service,
            endpoint_url=server.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    return make
