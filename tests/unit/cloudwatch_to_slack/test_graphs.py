from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudwatch_to_slack.graphs import Graph, GraphMetric, numbered, users, windows
from common.cloudwatch import FromParameter
from common.events import InvalidEvent, parse

TOKYO = ZoneInfo("Asia/Tokyo")
METRIC = {"namespace": "AWS/RDS", "metric": "CPUUtilization"}


def graph(**fields):
    return parse(Graph, {"title": "t", "metrics": [METRIC]} | fields)


def tokyo(text):
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


@pytest.mark.parametrize(
    ("range_", "now", "start", "before"),
    [
        ("day", "2026-11-23T09:00", "2026-11-22T09:00", "2026-11-21T09:00"),
        ("week", "2026-11-23T09:00", "2026-11-16T09:00", "2026-11-09T09:00"),
        ("month", "2026-11-23T09:00", "2026-10-23T09:00", "2026-09-23T09:00"),
        ("month", "2026-03-31T09:00", "2026-02-28T09:00", "2026-01-28T09:00"),
        ("month", "2024-03-31T09:00", "2024-02-29T09:00", "2024-01-29T09:00"),
        ("month", "2026-01-31T00:00", "2025-12-31T00:00", "2025-11-30T00:00"),
        ("3months", "2026-01-15T09:00", "2025-10-15T09:00", "2025-07-15T09:00"),
        ("PT3H", "2026-01-01T01:00", "2025-12-31T22:00", "2025-12-31T19:00"),
        ("P14D", "2026-11-23T09:00", "2026-11-09T09:00", "2026-10-26T09:00"),
    ],
)
def test_a_range_and_the_period_before_it(range_, now, start, before):
    one = graph(range=range_)
    assert one.window(tokyo(now)) == (tokyo(start), tokyo(now))
    assert one.before(tokyo(now)) == (tokyo(before), tokyo(start))


@pytest.mark.parametrize(
    ("fields", "period"),
    [
        ({"range": "PT3H"}, 60),
        ({"range": "day"}, 300),
        ({"range": "week"}, 3600),
        ({"range": "P8D"}, 21_600),
        ({"range": "month"}, 21_600),
        ({"range": "3months"}, 86_400),
        ({"range": "3months", "period": 3600}, 3600),
    ],
)
def test_the_period_fits_the_range(fields, period):
    filled = graph(**fields).filled(tokyo("2026-11-23T09:00"))
    assert (filled.period, filled.metrics[0].period) == (period, period)
    assert filled.metrics[0].stat == "Average"


def test_a_metrics_own_statistic_and_period_stand():
    metrics = [METRIC | {"stat": "p99", "period": 60}, {"expression": "1 + 1"}]
    filled = graph(stat="Sum", metrics=metrics).filled(tokyo("2026-11-23T09:00"))
    assert [(m.stat, m.period) for m in filled.metrics] == [("p99", 60), (None, 300)]


def test_ids_are_unique_in_the_message_and_expressions_follow():
    one = [
        METRIC | {"id": "a"},
        METRIC | {"id": "ab", "visible": False},
        {"expression": "FILL(a, 0) / ab * MAX([a, ab])"},
    ]
    first, second = numbered([graph(metrics=one), graph(metrics=one[:1])])
    assert list(first) == ["g0_a", "g0_ab", "g0_metric_2"]
    assert first["g0_metric_2"].expression == "FILL(g0_a, 0) / g0_ab * MAX([g0_a, g0_ab])"
    assert list(second) == ["g1_a"]


def test_one_window_a_period_holds_every_graph_and_what_it_compares_with():
    now = tokyo("2026-11-23T09:02")
    shown = [
        graph(range="day").filled(now),
        graph(range="week", period=300, compare="nothing").filled(now),
        graph(range="PT3H").filled(now),
    ]
    found = windows(shown, now)
    assert found == {
        300: (tokyo("2026-11-16T09:00"), tokyo("2026-11-23T09:05")),
        60: (tokyo("2026-11-23T03:02"), tokyo("2026-11-23T09:03")),
    }


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(TOKYO)),  # noqa: DTZ001
    st.sampled_from(["day", "week", "month", "3months", "PT1H", "P1Y", "PT5M"]),
)
def test_windows_are_aligned_and_whole(now, range_):
    try:
        one = graph(range=range_).filled(now)
    except InvalidEvent:
        assert range_ == "P1Y"
        return
    ((period, window),) = windows([one], now).items()
    assert window.start.timestamp() % period == window.end.timestamp() % period == 0
    assert window.start <= one.before(now).start
    assert now <= window.end <= now + timedelta(seconds=period)


def test_the_graph_this_was_born_for():
    one = users(5000, "staging")
    assert one.title == "TREND NUMBER OF USERS (Today: {latest})"
    (metric,) = one.metrics
    assert (metric.namespace, metric.metric) == ("RDS/RECORDS", "USERS")
    assert metric.dimensions == {"Environment": "staging", "RDS": "RECORDS"}
    assert (one.stacked, one.view, one.width, one.height) == (True, "timeSeries", 600, 400)
    assert (one.range, one.target) == ("day", 5000)
    assert (one.colors.latest, one.colors.target) == ("#8ec6ff", "#ff8e8e")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"title": " "}, "title: got ' '"),
        ({"metrics": []}, "metrics: got []"),
        ({"metrics": [METRIC | {"visible": False}]}, "metrics: got"),
        ({"metrics": [METRIC] * 101}, "metrics: got 101, takes at most 100"),
        ({"metrics": [METRIC | {"color": "red"}]}, "color: got 'red', takes a colour"),
        ({"metrics": [METRIC | {"stat": "avg"}]}, "stat: got 'avg'"),
        ({"metrics": [METRIC | {"lable": "x"}]}, "unknown field: lable"),
        ({"range": "year"}, "range: got 'year', takes day, week, month, 3months, or a duration"),
        ({"range": "P2Y"}, "range: got 'P2Y'"),
        ({"range": "PT0S"}, "range: got 'PT0S'"),
        ({"range": "-P1D"}, "range: got '-P1D'"),
        ({"range": "P99999999999D"}, "range: got 'P9"),
        ({"stat": "most"}, "stat: got 'most'"),
        ({"period": 7}, "period: got 7"),
        ({"view": "pie"}, "view: got 'pie', takes 'timeSeries' or 'singleValue'"),
        ({"width": 2001}, "width: got 2001, takes 100 to 2000 (pixels)"),
        ({"compare": "yes"}, "compare: got 'yes'"),
        ({"colors": {"latest": "blue"}}, "colors.latest: got 'blue'"),
    ],
)
def test_a_bad_graph_names_the_field(fields, message):
    with pytest.raises(InvalidEvent) as error:
        graph(**fields)
    assert str(error.value).startswith(message)


def test_what_a_metric_is_called():
    assert GraphMetric(**METRIC).title == "CPUUtilization"
    assert GraphMetric(**METRIC, label="CPU").title == "CPU"
    assert GraphMetric(expression="a / b").title == "a / b"
    assert GraphMetric(**METRIC, dimensions={"d": FromParameter("P")}).parameters() == {"P"}
