import functools
import json
import logging
from types import SimpleNamespace

import pytest
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.serialize import JSONSerializer

from common import aws, logs
from lambda_runtime.sitecustomize import LambdaHandler
from tests.support import one_at_a_time

_OF_LOGGING = logging.LogRecord("", 0, "", 0, "", None, None).__dict__.keys()
_OF_FORMATTERS = {"message", "asctime", "_frame_type"}


class StrictHandler(LambdaHandler):
    """Lambda's log, which keeps what it could not take, and what it lost of an `extra`."""

    def __init__(self):
        super().__init__()
        self.lost = []

    def emit(self, record):
        self.line = None
        try:
            super().emit(record)
        except (TypeError, ValueError) as error:
            self.lost.append(f"{record.getMessage()}: {error!r}")
            raise
        for name in record.__dict__.keys() - _OF_LOGGING - _OF_FORMATTERS:
            given = getattr(record, name)
            if given is not None and json.dumps(self.line.get(name)) != json.dumps(given):
                self.lost.append(f"{record.getMessage()}: extra {name}")

    def write(self, line):
        self.line = json.loads(line)


@pytest.fixture(autouse=True)
def lambda_log():
    """What a function logs is made into Lambda's lines; nothing of it may be lost."""
    handler, root = StrictHandler(), logging.getLogger()
    root.addHandler(handler)
    logs.set_up()
    yield
    root.removeHandler(handler)
    assert handler.lost == []


@pytest.fixture(autouse=True)
def laptop_knows_nothing(monkeypatch):
    """No account, no endpoint, no client of the person's own shell reaches a unit test."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    monkeypatch.setenv("PARAMETER_PATH", "/test/myApp")
    made = aws.client  # which a test may replace
    made.cache_clear()
    yield
    made.cache_clear()


@pytest.fixture(scope="session")
def one_client():
    """Clients that are made once for many tests: that takes longer than most else in a test."""
    return functools.cache(aws.client.__wrapped__)


@pytest.fixture(scope="session", autouse=True)
def played_aws():
    """Moto in place of AWS for all of the session: to begin takes longer than most tests."""
    every_type = JSONSerializer._serialize_structure_member

    def its_type(self, serialized, value, shape, key):
        # Moto looks for each of DynamoDB's ten types in each value, under several names.
        if shape.parent.name != "AttributeValue" or key in value:
            every_type(self, serialized, value, shape, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONSerializer, "_serialize_structure_member", its_type)
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # which takes seconds
        one_at_a_time(patch, BotocoreStubber, "process_request")
        # The session keeps the services' models, which take longest to read.
        with mock_aws(config={"core": {"reset_boto3_session": False}}):
            yield


@pytest.fixture
def moto(one_client, monkeypatch):
    """The AWS of a test, empty; with `aws.client` as functions call it."""
    BackendDict.reset()
    monkeypatch.setattr(aws, "client", one_client)


@pytest.fixture
def context():
    """As much time as Lambda gives: no test fails for being slow, unless it takes the time away."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000, aws_request_id="request-1")


@pytest.fixture
def put_parameter(moto):
    def put(name, value, path="/test/myApp"):
        aws.client("ssm").put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString")

    return put
