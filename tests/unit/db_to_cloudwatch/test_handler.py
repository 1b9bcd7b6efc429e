import pymysql
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from common import aws
from common.events import InvalidEvent
from common.failures import RunFailed
from common.mysql import PARAMETERS, Settings
from common.parameters import ParameterError
from db_to_cloudwatch import handler as module
from db_to_cloudwatch import queries
from db_to_cloudwatch.handler import handler
from db_to_cloudwatch.metrics import Result

HEADER = '/*\nnamespace = "{}"\n*/\nSELECT 1'


class FakeCloudWatch:
    """Takes data as PutMetricData does, and refuses the metrics named in `bad`."""

    def __init__(self):
        self.calls, self.bad, self.denied = [], set(), set()
        self.away = False

    def put_metric_data(self, Namespace, MetricData):  # noqa: N803
        if self.away:
            raise EndpointConnectionError(endpoint_url="https://monitoring")
        if Namespace in self.denied:
            self.refuse("AccessDenied", "not authorized")
        if any(datum["MetricName"] in self.bad for datum in MetricData):
            self.refuse("InvalidParameterValue", "odd")
        assert len(MetricData) <= 1000
        self.calls.append((Namespace, MetricData))

    @staticmethod
    def refuse(code, message):
        raise ClientError({"Error": {"Code": code, "Message": message}}, "PutMetricData")

    @property
    def sent(self):
        return sorted(datum["MetricName"] for _, data in self.calls for datum in data)


@pytest.fixture
def cloudwatch(put_parameter, monkeypatch):
    for name in PARAMETERS:
        put_parameter(name, "3306" if name.endswith("PORT") else "x")
    fake = FakeCloudWatch()
    clients = {"ssm": aws.client("ssm"), "cloudwatch": fake}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    return fake


@pytest.fixture
def ask(cloudwatch, tmp_path, monkeypatch):
    """Run the handler over queries (name → what the database gives, or raises)."""

    def ask(event=None, **given):
        for name in given:
            file = tmp_path / f"{name}.sql"
            if not file.exists():
                file.write_text(HEADER.format("N"))
        monkeypatch.setattr(queries, "FOLDER", tmp_path)
        monkeypatch.setattr(queries.names, "__defaults__", (tmp_path,))
        monkeypatch.setattr(queries.load, "__defaults__", (tmp_path,))

        def run(_, query):
            found = given[query.name]
            if isinstance(found, Exception):
                raise found
            return Result(list(found), [True] * len(found), [list(found.values())])

        monkeypatch.setattr(module.database, "run", run)
        return handler(event or {}, None)

    return ask


def test_all_in_one_request_with_one_time_stamp(cloudwatch, ask):
    summary = ask(one={"A": 1, "B": 2}, two={"C": 3})
    assert (summary["queries"], summary["metrics"]) == (2, 3)
    ((_, data),) = cloudwatch.calls
    assert {datum["Timestamp"].isoformat() for datum in data} == {summary["at"]}


@pytest.mark.parametrize(
    ("event", "environment"),
    [({}, "test"), ({"environment": "staging", "path_to_parameter": "/myApp"}, "staging")],
)
def test_the_environment_is_the_one_whose_database_it_is(
    cloudwatch, ask, put_parameter, event, environment
):
    for name in PARAMETERS:
        put_parameter(name, "3306" if name.endswith("PORT") else "x", "/staging/myApp")
    ask(event, one={"A": 1})
    ((_, (datum,)),) = cloudwatch.calls
    assert datum["Dimensions"] == [{"Name": "Environment", "Value": environment}]


def test_some_by_name(cloudwatch, ask):
    ask(one={"A": 1}, two={"C": 3}, event={"queries": ["two"]})
    assert cloudwatch.sent == ["C"]


def test_a_failing_query_is_named_and_the_others_are_sent(cloudwatch, ask):
    with pytest.raises(RunFailed) as error:
        ask(bad=pymysql.err.ProgrammingError(1146, "no such table"), null={"N": None}, ok={"A": 1})
    message = str(error.value)
    assert message.startswith("2 of 3 failed: ")
    assert "bad.sql: (1146, 'no such table')" in message
    assert "null.sql: N: got NULL" in message
    assert cloudwatch.sent == ["A"]


def test_a_bad_header_is_named_and_the_others_are_sent(cloudwatch, ask, tmp_path):
    (tmp_path / "broken.sql").write_text("SELECT 1")
    with pytest.raises(RunFailed, match="^1 of 2 failed: broken.sql: takes a header"):
        ask(ok={"A": 1})
    assert cloudwatch.sent == ["A"]


def test_a_metric_that_cloudwatch_refuses_is_named_and_the_others_are_sent(cloudwatch, ask):
    cloudwatch.bad = {"B"}
    with pytest.raises(RunFailed, match="^1 of 1 failed: one.sql: B: .*odd"):
        ask(one={"A": 1, "B": 2, "C": 3})
    assert cloudwatch.sent == ["A", "C"]


def test_a_namespace_that_the_role_may_not_use_keeps_no_other_from_its_turn(
    cloudwatch, ask, tmp_path
):
    cloudwatch.denied = {"N"}
    (tmp_path / "open.sql").write_text(HEADER.format("M"))
    with pytest.raises(RunFailed, match="closed.sql: .*not authorized"):
        ask(closed={"A": 1}, open={"B": 2})
    assert cloudwatch.sent == ["B"]


def test_a_dead_cloudwatch_fails_the_run(cloudwatch, ask):
    cloudwatch.away = True
    with pytest.raises(RunFailed, match="one.sql: Could not connect to the endpoint URL"):
        ask(one={"A": 1})


@pytest.mark.parametrize(("count", "calls"), [(1, 1), (500, 1), (501, 1), (1001, 2), (5000, 5)])
def test_requests_are_few(cloudwatch, ask, count, calls):
    assert ask(one={f"M{number}": number for number in range(count)})["metrics"] == count
    assert len(cloudwatch.calls) == calls


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"queries": ["nothing"]}, "queries: got 'nothing', takes orders or users"),
        ({"queries": []}, r"queries: got \[\], takes one name at least"),
        ({"queries": "users"}, "queries: got 'users', takes a list"),
        ({"querys": []}, "unknown field: querys"),
    ],
)
def test_a_bad_event_names_the_field(cloudwatch, event, message):
    with pytest.raises(InvalidEvent, match=message):
        handler(event, None)


def test_a_missing_parameter_is_named(cloudwatch, monkeypatch):
    with pytest.raises(ParameterError, match="/local/other/DATABASE_"):
        handler({"environment": "local", "path_to_parameter": "/other"}, None)


def test_a_password_is_in_no_text():
    settings = Settings("h", 1, "n", "u", "the-password", "off")
    assert "the-password" not in repr(settings)
