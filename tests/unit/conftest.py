import functools
from types import SimpleNamespace

import pytest
from moto import mock_aws

from common import aws


@pytest.fixture(autouse=True)
def laptop_knows_nothing(monkeypatch):
    """No account, no endpoint, no client of the person's own shell reaches a unit test."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    monkeypatch.setenv("PARAMETER_PATH", "/test/myApp")
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


@pytest.fixture
def moto():
    with mock_aws():
        yield


@pytest.fixture(scope="session")
def one_client():
    """Clients that are made once for many tests: that takes longer than most else in a test."""
    return functools.cache(aws.client.__wrapped__)


@pytest.fixture
def kept_clients(moto, one_client):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "client", one_client)
        yield


@pytest.fixture
def context():
    return SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)


@pytest.fixture
def put_parameter(moto):
    def put(name, value, path="/test/myApp"):
        aws.client("ssm").put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString")

    return put
