"""Real processes on free loopback ports: the sandbox, and the laptop's AWS behind it."""

import contextlib
import json
import os
import time
from dataclasses import dataclass

import boto3
import pytest
import requests
from botocore.config import Config

import supervision
from stack import GOOGLE_AUDIENCE, GOOGLE_PROJECT, GOOGLE_SERVICE_ACCOUNT, REGION
from tests.support import free_port, serving

KEY = "a-key-of-the-tests"
SERVICE = "ore-no-service"
ACCOUNT, AUTH_TOKEN = "AC" + "0123456789abcdef" * 2, "auth-token-of-the-tests"
CALLER, AOI, REN = "+815000000000", "+819000000001", "+819000000002"
PHONES = [{"number": AOI, "name": "佐藤 葵"}, {"number": REN, "name": "鈴木 蓮"}]
# In a browser: how the page's own Japanese font fares that a text needs.
FONT = """async (text) =>
  (await document.fonts.load("16px Japanese", text)).map((face) => face.status)"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
    ],
}


@dataclass(frozen=True)
class Server:
    url: str

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


@pytest.fixture(scope="session")
def start_sandbox():
    """Return a function that runs a sandbox over a folder, as a context manager."""

    @contextlib.contextmanager
    def start(folder, *, aws="http://127.0.0.1:9", **extra):
        port = free_port()
        environ = {
            **os.environ,
            "SANDBOX_DIR": str(folder / "data"),
            "SANDBOX_AWS_ENDPOINT": aws,
            "SANDBOX_MACKEREL_API_KEY": KEY,
            "SANDBOX_MACKEREL_SERVICES": f"{SERVICE},other",
            "SANDBOX_TWILIO_ACCOUNT_SID": ACCOUNT,
            "SANDBOX_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "SANDBOX_TWILIO_NUMBERS": CALLER,
            "SANDBOX_PHONES": json.dumps(PHONES),
            "SANDBOX_GOOGLE_AUDIENCE": GOOGLE_AUDIENCE,
            "SANDBOX_GOOGLE_ROLES": "role-*,mimamori-local-s3_to_bigquery",
            "SANDBOX_GOOGLE_SERVICE_ACCOUNT": GOOGLE_SERVICE_ACCOUNT,
            "SANDBOX_GOOGLE_PROJECT": GOOGLE_PROJECT,
            **extra,
        }
        url = f"http://127.0.0.1:{port}"
        command = supervision.sandbox_command(port)
        with serving(command, environ, health=f"{url}/health", log=folder / "sandbox.log"):
            yield Server(url)

    return start


@pytest.fixture(scope="session")
def aws(ministack):
    """The laptop's AWS, with IAM enforced."""
    return Server(ministack)


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


@pytest.fixture(scope="module")
def cloudwatch(front, client):
    return client("cloudwatch", front)


@pytest.fixture
def role(aws, client):
    """Return a function that gives a role some rights and returns its key, secret and token."""
    iam, sts = client("iam", aws), client("sts", aws)
    name = f"role-{time.time_ns()}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]

    def assume(*actions):
        if actions:
            policy = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
            }
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        given = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]

    return assume
