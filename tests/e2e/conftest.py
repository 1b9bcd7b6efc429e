"""The whole of it: real Terraform, lambroll, MariaDB, and the laptop's AWS that enforces IAM."""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

import lifecycle
import seed
from stack import ROOT, Stack
from tests.support import until

PREFIX = "mimamori-local-"


# Making one takes longer than most calls.
_client = functools.cache(seed.client)


@dataclass(frozen=True)
class Laptop:
    """A stack that is up, and the commands a person has on it."""

    stack: Stack

    def make(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `make` as a person would, on this stack."""
        return self.run("make", "--silent", *arguments, stdin=stdin)

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell after `eval "$(make -s env)"`, as the README says."""
        return self.run("bash", "-c", f'set -e; eval "$(make -s env)"; {line}')

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | {"MIMAMORI_PORT": str(self.stack.port)},
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
        except subprocess.TimeoutExpired as error:
            said = b"".join((error.stdout or b"", error.stderr or b"")).decode()
            pytest.fail(f"{' '.join(command)} is not over after {error.timeout} s:\n{said}")

    def invoke(self, function: str, **event: Any) -> subprocess.CompletedProcess[str]:
        return self.make("invoke", f"FUNCTION={function}", stdin=json.dumps(event))

    def answer(self, function: str, **event: Any) -> dict[str, Any]:
        """Invoke and return what the function answered; it must not have failed."""
        done = self.invoke(function, **event)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def copy(self, folder: Path) -> Path:
        """Copy what a deploy takes, for a test to change; returns the folder."""
        for name in ("functions", "lambroll", "local", "scripts", "terraform/environments"):
            shutil.copytree(ROOT / name, folder / name)
        for name in (".venv", ".local"):
            (folder / name).symlink_to(ROOT / name)
        return folder

    def deploy(self, folder: Path, *functions: str) -> None:
        """Deploy functions from a copy."""
        line = f"cd {folder} && .venv/bin/python scripts/deploy.py local {' '.join(functions)}"
        done = self.run("env", "PYTHONPATH=local", "bash", "-c", line)
        assert done.returncode == 0, done.stdout + done.stderr

    def aws(self, service: str) -> Any:
        return _client(self.stack, service)

    def inbox(self, after: int = 0, channel: str = "mackerel") -> list[dict[str, Any]]:
        query: dict[str, Any] = {"channel": channel, "after": after}
        return requests.get(self.stack.inbox_url, params=query, timeout=10).json()

    def user_pool(self) -> tuple[str, str]:
        """Return the ids of the estate's user pool and of its client."""
        cognito = self.aws("cognito-idp")
        (pool,) = cognito.list_user_pools(MaxResults=2)["UserPools"]
        clients = cognito.list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=2)
        (client,) = clients["UserPoolClients"]
        return pool["Id"], client["ClientId"]

    def newest(self) -> int:
        """Return the id of the newest item of any channel."""
        items = requests.get(self.stack.inbox_url, timeout=10).json()
        return max((item["id"] for item in items), default=0)

    @contextmanager
    def denied(self, function: str, action: str) -> Iterator[None]:
        """Take a right away from a function's role for a while."""
        role, name = PREFIX + function, "for-a-while"
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam = self.aws("iam")
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName=name)

    def fault(self, **fault: Any) -> None:
        answer = requests.post(f"{self.stack.sandbox_url}/faults", json=fault, timeout=10)
        assert answer.status_code == 201, answer.text


@pytest.fixture(scope="session")
def laptop(new_stack: Callable[[], Stack]) -> Laptop:
    laptop = Laptop(new_stack())
    done = laptop.make("up")
    assert done.returncode == 0, done.stdout + done.stderr
    return laptop


@pytest.fixture(scope="module")
def quiet(laptop: Laptop) -> Iterator[None]:
    """No schedule fires meanwhile: what happens is a test's own doing."""
    events = laptop.aws("events")
    listed = events.list_rules(NamePrefix=PREFIX)["Rules"]
    rules = [rule["Name"] for rule in listed if rule["State"] == "ENABLED"]
    assert rules
    for rule in rules:
        events.disable_rule(Name=rule)
    until(
        lambda: all(
            _has_run(laptop, name, at.timestamp() - 30)  # half a minute: rules fire each minute
            for name, at in lifecycle.started_by_schedules(laptop.stack).items()
        )
    )
    yield
    for rule in rules:
        events.enable_rule(Name=rule)


def _has_run(laptop: Laptop, function: str, since: float) -> bool:
    """Whether a run of a function has ended that began since then."""
    pages = laptop.aws("logs").get_paginator("filter_log_events")
    group = {"logGroupName": f"/aws/lambda/{function}", "startTime": int(since * 1000)}
    return any(
        event["timestamp"] - float(took[1]) >= since * 1000
        for page in pages.paginate(**group)
        for event in page["events"]
        if (took := re.search(r"^REPORT .*\tDuration: ([\d.]+) ms", event["message"]))
    )


@pytest.fixture
def no_faults(laptop: Laptop) -> Iterator[None]:
    yield
    requests.delete(f"{laptop.stack.sandbox_url}/faults", timeout=10)


@pytest.fixture
def signed_in(laptop: Laptop) -> None:
    """Some hours of sign-ins, as Cognito counts them; no more where they are there."""
    seed.put_cognito(laptop.stack, *laptop.user_pool(), datetime.now(UTC), ["Google", "LINE"])
