from datetime import UTC, datetime

import pytest

from common import aws
from common.cloudwatch import (
    FromParameter,
    Metric,
    Series,
    Window,
    count,
    inputs,
    read,
    requests,
)
from common.events import InvalidEvent, parse

PLAIN = {"namespace": "AWS/RDS", "metric": "CPUUtilization", "stat": "Average", "period": 300}


def metric(**fields):
    return Metric(**(PLAIN | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"stat": "p99"},
        {"stat": "p99.9"},
        {"stat": "p100"},
        {"stat": "tm90"},
        {"stat": "IQM"},
        {"stat": "TM(10%:90%)"},
        {"stat": "PR(:300)"},
        {"period": 1},
        {"period": 86_400},
        {"id": "a_1"},
        {"dimensions": {f"d{n}": "x" for n in range(30)}},
    ],
)
def test_what_cloudwatch_takes(fields):
    assert metric(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stat": "p101"}, "stat: got 'p101'"),
        ({"stat": "sum"}, "stat: got 'sum'"),
        ({"namespace": ""}, "namespace: got ''"),
        ({"metric": None}, "metric: got None"),
        ({"period": 0}, "period: got 0"),
        ({"period": -60}, "period: got -60"),
        ({"period": 90}, "period: got 90, takes 1, 5, 10, 30 or a multiple of 60"),
        ({"id": "Upper"}, "id: got 'Upper'"),
        ({"id": "a-b"}, "id: got 'a-b'"),
        ({"dimensions": {f"d{n}": "x" for n in range(31)}}, "dimensions: got"),
        ({"expression": "a + b"}, "namespace: got 'AWS/RDS', takes nothing beside an expression"),
    ],
)
def test_what_it_does_not_names_the_field(fields, message):
    with pytest.raises(InvalidEvent) as error:
        parse(Metric, PLAIN | fields)
    assert str(error.value).startswith(message)


def test_an_expression_stands_alone():
    with pytest.raises(InvalidEvent, match=r"^expression: got ' '"):
        Metric(expression=" ")
    with pytest.raises(InvalidEvent, match=r"^dimensions: got"):
        Metric(expression="a", dimensions={"A": "x"})


def test_queries():
    declared = metric(dimensions={"Pool": FromParameter("POOL_ID"), "Client": "web"})
    assert declared.parameters() == {"POOL_ID"}
    assert declared.query("a", {"POOL_ID": "pool-1"}.__getitem__) == {
        "Id": "a",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/RDS",
                "MetricName": "CPUUtilization",
                "Dimensions": [
                    {"Name": "Pool", "Value": "pool-1"},
                    {"Name": "Client", "Value": "web"},
                ],
            },
            "Stat": "Average",
            "Period": 300,
        },
    }
    assert Metric(expression="a - b", period=60).query("e", dict.__getitem__) == {
        "Id": "e",
        "Expression": "a - b",
        "Period": 60,
    }


def test_an_expressions_inputs_are_followed_through():
    metrics = {
        "a": metric(),
        "b": metric(),
        "c": Metric(expression="a / 100"),
        "d": Metric(expression="IF(c > 1, FILL(b, 0), e)"),
        "e": Metric(expression="d"),
    }
    assert inputs(metrics, "a") == {"a"}
    assert inputs(metrics, "c") == {"a", "c"}
    assert inputs(metrics, "d") == {"a", "b", "c", "d", "e"}


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (500, [500]), (501, [500, 1]), (5000, [500] * 10)],
)
def test_metrics_are_asked_for_500_at_a_time(count, sizes):
    metrics = {f"m{number}": metric() for number in range(count)}
    assert [len(batch) for batch in requests(metrics)] == sizes


def test_an_expression_is_never_parted_from_its_inputs():
    metrics = {f"m{number}": metric() for number in range(600)}
    metrics["ratio"] = Metric(expression="m0 / m599")
    batches = requests(metrics)
    for batch in batches:
        assert len(set().union(*(inputs(metrics, identifier) for identifier in batch))) <= 500
    assert sorted(identifier for batch in batches for identifier in batch) == sorted(metrics)
    assert len(batches) == 2


class Pages:
    """CloudWatch's client, as far as `read` goes, answering with pages made beforehand."""

    def __init__(self, *pages):
        self.pages = pages

    def get_paginator(self, operation):
        assert operation == "get_metric_data"
        return self

    def paginate(self, **asked):
        self.asked = asked
        return self.pages


def at(minute):
    return datetime(2026, 11, 23, 9, minute, tzinfo=UTC)


WINDOW = Window(at(0), at(30))


def page(identifier, minutes, status="Complete", label="x", messages=()):
    return {
        "MetricDataResults": [
            {
                "Id": identifier,
                "Label": label,
                "Timestamps": [at(minute) for minute in minutes],
                "Values": [float(minute) for minute in minutes],
                "StatusCode": status,
                "Messages": [{"Code": "c", "Value": text} for text in messages],
            }
        ]
    }


def test_pages_of_partial_data_are_put_together():
    client = Pages(page("a", [0, 5], "PartialData"), page("a", [10]), page("b", []))
    found = read(client, [{"Id": "a"}, {"Id": "b"}], WINDOW)
    assert client.asked["StartTime"] == at(0)
    assert list(found["a"].points.values()) == [0.0, 5.0, 10.0]
    assert found["a"].points.keys() == {int(at(minute).timestamp()) for minute in (0, 5, 10)}
    assert found["a"].problem() is None
    assert found["b"] == Series(labels={"x"})


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        ([page("a", [0], "PartialData")], "CloudWatch: PartialData"),
        ([page("a", [], "Forbidden", messages=["no"])], "CloudWatch: Forbidden no"),
        ([page("a", [0], label="i-1"), page("a", [0], label="i-2")], "gives 2 series (i-1, i-2)"),
    ],
)
def test_a_series_that_cannot_be_trusted_says_why(pages, problem):
    assert read(Pages(*pages), [{"Id": "a"}], WINDOW)["a"].problem().startswith(problem)


def test_each_environment_counts_for_itself(moto, monkeypatch):
    count("Lost")
    monkeypatch.setenv("PARAMETER_PATH", "/other/team/myApp")
    count("Lost", {"Group": "database"})
    listed = aws.client("cloudwatch").list_metrics(Namespace="Mimamori")["Metrics"]
    assert {one["MetricName"] for one in listed} == {"Lost"}
    told = [{one["Name"]: one["Value"] for one in each["Dimensions"]} for each in listed]
    # Without the group, too: one alarm is enough for all of them.
    expected = [{"Environment": "test"}, {"Environment": "other"}]
    expected.append({"Environment": "other", "Group": "database"})
    assert sorted(told, key=str) == sorted(expected, key=str)
    answer = aws.client("cloudwatch").get_metric_statistics(
        Namespace="Mimamori",
        MetricName="Lost",
        Dimensions=[{"Name": "Environment", "Value": "test"}],
        StartTime=0,
        EndTime=4_000_000_000,
        Period=86400,
        Statistics=["Sum"],
        Unit="Count",
    )
    assert [point["Sum"] for point in answer["Datapoints"]] == [1]
