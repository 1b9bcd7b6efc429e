from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudwatch_to_mackerel.metrics import (
    ServiceMetric,
    by_id,
    cognito,
    instant,
    points,
    providers,
    window,
)
from common.cloudwatch import Window
from common.events import InvalidEvent, parse

PLAIN = {"namespace": "AWS/RDS", "metric": "CPUUtilization", "stat": "Average"}


def test_cognitos_door_in_three_kinds_and_a_graph_of_throttles():
    names = [metric.name for metric in cognito()]
    assert len(names) == len(set(names)) == 12
    for kind in ("sign_in", "sign_up", "token_refresh"):
        for suffix in ("success", "attempt", "failure"):
            assert f"cognito.{kind}.{suffix}" in names
        assert f"cognito.throttle.{kind}" in names
    by_name = {metric.name: metric for metric in cognito()}
    success, attempt, failure, throttle = (
        by_name[f"cognito.{name}"]
        for name in ("sign_in.success", "sign_in.attempt", "sign_in.failure", "throttle.sign_in")
    )
    assert (success.metric, success.stat) == ("SignInSuccesses", "Sum")
    assert (attempt.metric, attempt.stat) == ("SignInSuccesses", "SampleCount")
    assert failure.expression == f"{attempt.id} - {success.id}"
    assert (throttle.metric, throttle.stat) == ("SignInThrottles", "Sum")
    assert success.parameters() == {"AWS_COGNITO_USER_POOL_ID", "AWS_COGNITO_CLIENT_ID"}
    assert {metric.when_missing for metric in cognito()} == {"skip"}


def test_federation_is_a_series_of_each_provider_and_their_sum():
    plain = {metric.name for metric in cognito()}
    federated = by_id([m for m in cognito(["Google", "サイン"]) if m.name not in plain])
    named = {metric.name: (identifier, metric) for identifier, metric in federated.items()}
    assert len(named) == 12
    read = {name: metric for name, (_, metric) in named.items() if metric.metric}
    for name, provider in (("Google", "Google"), ("2", "サイン")):
        for suffix, metric, stat in (
            ("success", "FederationSuccesses", "Sum"),
            ("attempt", "FederationSuccesses", "SampleCount"),
            ("throttle", "FederationThrottles", "Sum"),
        ):
            one = read.pop(f"cognito.federation.{name}.{suffix}")
            assert (one.metric, one.stat) == (metric, stat)
            assert one.dimensions["IdentityProvider"] == provider
            assert len(one.dimensions) == 3
    assert not read
    success, attempt, failure, throttle = (
        named[f"cognito.{name}"]
        for name in (
            "federation.success",
            "federation.attempt",
            "federation.failure",
            "throttle.federation",
        )
    )
    for (_, metric), suffix in ((success, "success"), (attempt, "attempt"), (throttle, "throttle")):
        ids = [named[f"cognito.federation.{name}.{suffix}"][0] for name in ("Google", "2")]
        assert metric.expression == f"SUM([{', '.join(ids)}])"
    assert failure[1].expression == f"{attempt[0]} - {success[0]}"
    of_google = [
        named[f"cognito.federation.Google.{suffix}"][0] for suffix in ("attempt", "success")
    ]
    assert named["cognito.federation.Google.failure"][1].expression == " - ".join(of_google)


@pytest.mark.parametrize(
    ("text", "names"),
    [("none", []), ("Google", ["Google"]), (" Google, LINE ,", ["Google", "LINE"])],
)
def test_providers_are_a_comma_list(text, names):
    assert providers(text) == names


def test_a_metric_that_is_no_expression_has_a_statistic():
    with pytest.raises(InvalidEvent, match="^stat: got None"):
        parse(ServiceMetric, {"name": "a", "namespace": "n", "metric": "m"})


@pytest.mark.parametrize("name", ["a", "a.b-c_d.1", "A" * 200])
def test_a_name_that_mackerel_takes(name):
    assert parse(ServiceMetric, PLAIN | {"name": name}).name == name


@pytest.mark.parametrize("name", ["", "a b", "ユーザー", "a/b", "a\n", None])
def test_a_name_that_it_does_not(name):
    with pytest.raises(InvalidEvent, match="^name: got"):
        parse(ServiceMetric, PLAIN | {"name": name})


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([{"name": "a"}, {"name": "a"}], "metrics.name: got 'a', takes each name once"),
        ([{"name": "a", "id": "x"}, {"id": "x"}], "metrics.id: got 'x', takes each id once"),
    ],
)
def test_nothing_is_declared_twice(metrics, message):
    with pytest.raises(InvalidEvent, match=message):
        by_id([ServiceMetric(**(PLAIN | metric)) for metric in metrics])


def test_unnamed_inputs_do_not_clash():
    assert len(by_id([ServiceMetric(id=i, **PLAIN) for i in ("a", "b")])) == 2


def test_an_expression_has_the_period_of_its_inputs():
    metrics = [
        ServiceMetric(id="a", period=60, **PLAIN),
        ServiceMetric(name="e", expression="a / 2"),
    ]
    with pytest.raises(InvalidEvent, match="period: got 300, takes 60, the period of its input a"):
        by_id(metrics)


TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("at", "period", "delay", "length", "start", "end"),
    [
        ("2026-11-23T09:12:34+00:00", 300, 600, 1800, "23 08:30", "23 09:00"),
        ("2026-11-23T09:10:00+00:00", 300, 600, 1800, "23 08:30", "23 09:00"),
        ("2026-11-23T09:09:59+00:00", 300, 600, 1800, "23 08:25", "23 08:55"),
        ("2026-11-23T18:12:34+09:00", 300, 600, 1800, "23 08:30", "23 09:00"),
        ("2026-11-23T00:05:00+00:00", 60, 120, 300, "22 23:58", "23 00:03"),
        ("2026-11-23T09:12:34+00:00", 3600, 0, 1800, "23 08:00", "23 09:00"),
        ("2026-11-23T09:12:34+00:00", 300, 0, 1000, "23 08:50", "23 09:10"),
    ],
)
def test_the_window_is_aligned_and_ends_a_delay_ago(at, period, delay, length, start, end):
    span = window(instant(at, "at"), period, delay=delay, length=length)
    assert [f"{time.astimezone(UTC):%d %H:%M}" for time in span] == [start, end]


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(TOKYO)),  # noqa: DTZ001
    st.sampled_from([1, 5, 10, 30, 60, 300, 900, 3600, 7200]),
    st.integers(0, 7200),
    st.integers(1, 80_000),
)
def test_any_window_is_aligned_whole_and_late_enough(at, period, delay, length):
    start, end = window(at, period, delay=delay, length=length)
    assert start.timestamp() % period == end.timestamp() % period == 0
    assert end <= at - timedelta(seconds=delay) < end + timedelta(seconds=period)
    assert timedelta(seconds=max(period, length)) <= end - start
    assert end - start < timedelta(seconds=max(period, length) + period)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-23", "2026-11-23T09:00:00"])
def test_a_time_without_a_zone_is_no_time(text):
    with pytest.raises(InvalidEvent, match=r"^at: got .* takes a time with its zone"):
        instant(text, "at")


SPAN = Window(datetime.fromtimestamp(900, UTC), datetime.fromtimestamp(1800, UTC))


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({}, {}, []),
        ({}, {1200: 2.0, 900: 1.0}, [(900, 1), (1200, 2)]),
        ({"scale": 0.5}, {900: 3.0}, [(900, 1.5)]),
        ({"when_missing": "zero"}, {}, [(900, 0), (1200, 0), (1500, 0)]),
        ({"when_missing": "zero", "scale": 10}, {1200: 7.0}, [(900, 0), (1200, 70), (1500, 0)]),
    ],
)
def test_points(fields, values, expected):
    metric = ServiceMetric(name="n", **PLAIN, **fields)
    assert points(metric, values, SPAN) == [
        {"name": "n", "time": time, "value": value} for time, value in expected
    ]
