from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cloudwatch_to_slack.findings import Finding, Part, find, number
from cloudwatch_to_slack.graphs import Graph, GraphMetric, numbered
from cloudwatch_to_slack.widget import widget
from cloudwatch_to_slack.words import comment
from common.cloudwatch import FromParameter, Series

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=ZoneInfo("Asia/Tokyo"))
METRIC = GraphMetric(namespace="RDS/RECORDS", metric="USERS", dimensions={"RDS": "RECORDS"})
HOUR = timedelta(hours=1)


def part(points=None, metrics=(METRIC,), **fields):
    """Find in a graph whose first metric has these values, by how long ago."""
    graph = Graph(**{"title": "Users ({latest})", "metrics": list(metrics)} | fields).filled(NOW)
    (own,) = numbered([graph])
    seconds = {int((NOW - ago).timestamp()): value for ago, value in (points or {}).items()}
    return find(graph, own, {next(iter(own)): Series(seconds)}, NOW)


FRESH = timedelta(minutes=5)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("points", "latest", "before", "change", "percent"),
    [
        ({FRESH: 110.0, DAY + FRESH: 100.0}, 110, 100, 10, 10.0),
        ({FRESH: 90.0, DAY + FRESH: 100.0}, 90, 100, -10, -10.0),
        ({FRESH: 5.0, DAY + FRESH: 0.0}, 5, 0, 5, None),
        ({FRESH: 5.0}, 5, None, None, None),
        ({FRESH: 0.0, DAY + FRESH: -4.0}, 0, -4, 4, 100.0),
        # The nearest earlier value of the period before, never a later one.
        (
            {FRESH: 5.0, DAY + HOUR: 3.0, DAY: 9.0},
            5,
            3,
            2,
            pytest.approx(66.7, 0.1),
        ),
        ({FRESH: 5.0, 2 * DAY + HOUR: 3.0}, 5, None, None, None),
        ({}, None, None, None, None),
        ({DAY + FRESH: 100.0}, None, None, None, None),
    ],
)
def test_the_latest_value_and_the_one_before(points, latest, before, change, percent):
    (finding,) = part(points).findings
    assert (finding.latest, finding.before) == (latest, before)
    assert (finding.change, finding.change_in_percent) == (change, percent)


@pytest.mark.parametrize(
    ("ago", "since"),
    [
        (FRESH, None),
        (timedelta(minutes=20), None),
        (timedelta(minutes=21), "08:44"),
        (timedelta(minutes=55), "08:10"),
        (10 * HOUR, "23:05"),
    ],
)
def test_silence_is_told_from_delay(ago, since):
    (finding,) = part({ago: 1.0}).findings
    shown = finding.silent_since and f"{finding.silent_since.astimezone(NOW.tzinfo):%H:%M}"
    assert shown == since


@pytest.mark.parametrize(
    ("language", "fields", "points", "text"),
    [
        (
            "ja",
            {"target": 100},
            {FRESH: 1234.0, DAY + FRESH: 1200.0},
            "*Users (1,234)*\n1,234、前日比 +34 (+2.8%)、目標 100 を 1,134 上回っています",
        ),
        (
            "en",
            {"target": 2000, "range": "week"},
            {FRESH: 1234.5},
            "*Users (1,234.5)*\n1,234.5, vs the week before n/a, 765.5 to go to the target 2,000",
        ),
        (
            "en",
            {"target": 5},
            {FRESH: 5.0, DAY + FRESH: 0.0},
            "*Users (5)*\n5, vs the day before +5 (n/a), target 5 reached",
        ),
        (
            "ja",
            {"compare": "nothing"},
            {timedelta(minutes=55): 7.0},
            "*Users (7)*\n7、08:10 からデータがありません",
        ),
        (
            "en",
            {"compare": "nothing"},
            {timedelta(hours=10, minutes=5): 7.0},
            "*Users (7)*\n7, no data since 11-22 23:00",
        ),
        ("ja", {}, {}, "*Users (-)*\nデータがありません"),
        ("en", {"range": "PT6H"}, {FRESH: 1.0}, "*Users (1)*\n1, vs the period before n/a"),
        ("en", {"title": "<!channel> & co"}, {}, "*&lt;!channel&gt; &amp; co*\nno data"),
    ],
)
def test_the_comment(language, fields, points, text):
    assert comment([part(points, **fields)], (), language, NOW) == text


def test_several_metrics_and_graphs_have_a_line_each():
    several = part(
        {FRESH: 2.0}, (METRIC, GraphMetric(namespace="n", metric="m", label="other")), title="two"
    )
    text = comment([several, part({FRESH: 3.0}, title="one")], {"one"}, "en", NOW)
    assert text.splitlines() == [
        "*two*",
        "• USERS: 2, vs the day before n/a",
        "• other: no data",
        "*one*",
        "3, vs the day before n/a",
        "the graph could not be drawn",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (0.5, "0.5"), (-3.14159, "-3.14"), (100.0, "100")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_the_widget_of_the_graph_with_a_target():
    drawn = widget(
        part({FRESH: 1234.0, HOUR: 1300.0}, target=100, stacked=True), NOW, dict.__getitem__
    )
    assert drawn == {
        "title": "Users (1,234)",
        "view": "timeSeries",
        "stacked": True,
        "metrics": [
            [
                "RDS/RECORDS",
                "USERS",
                "RDS",
                "RECORDS",
                {
                    "id": "g0_metric_0",
                    "label": "USERS",
                    "period": 300,
                    "stat": "Average",
                    "visible": True,
                },
            ]
        ],
        "period": 300,
        "start": "2026-11-22T00:00:00Z",
        "end": "2026-11-23T00:00:00Z",
        "timezone": "+0900",
        "width": 600,
        "height": 400,
        "annotations": {
            "horizontal": [
                {"label": "Today", "value": 1234.0, "color": "#8ec6ff"},
                {"label": "Target", "value": 100, "color": "#ff8e8e"},
            ]
        },
        "yAxis": {"left": {"min": 0, "max": 1851.0}},
    }


@pytest.mark.parametrize(
    ("points", "target", "highest"),
    [
        ({FRESH: 100.0}, 10, 150),
        ({FRESH: 10.0}, 100, 150),
        ({FRESH: 10.0, HOUR: 400.0}, 100, 400),
    ],
)
def test_the_y_axis_holds_the_latest_value_the_target_and_the_peak(points, target, highest):
    drawn = widget(part(points, target=target), NOW, dict.__getitem__)
    assert drawn["yAxis"]["left"] == {"min": 0, "max": highest}


def test_expressions_parameters_and_the_line_of_the_period_before():
    metrics = (
        GraphMetric(
            id="a",
            namespace="n",
            metric="m",
            dimensions={"d": FromParameter("P")},
            color="#112233",
        ),
        GraphMetric(expression="a * 2", label="double", visible=False),
    )
    drawn = widget(
        part({FRESH: 1.0, DAY + FRESH: 3.0}, metrics, compare="line"), NOW, {"P": "v"}.__getitem__
    )
    first, second = drawn["metrics"]
    assert first[:4] == ["n", "m", "d", "v"]
    assert first[4]["color"] == "#112233"
    assert second == [
        {
            "id": "g0_metric_1",
            "label": "double",
            "period": 300,
            "visible": False,
            "expression": "g0_a * 2",
        }
    ]
    assert drawn["annotations"]["horizontal"] == [
        {"label": "Before", "value": 3.0, "color": "#c5b0d5"}
    ]
    assert "yAxis" not in drawn


def test_a_stacked_graphs_latest_value_is_the_sum():
    findings = [Finding("a", latest=1.0), Finding("b", latest=2.5), Finding("c")]
    stacked = Graph(title="{latest}", metrics=[METRIC], stacked=True)
    assert Part(stacked, {}, findings).title == "3.5"
    assert Part(Graph(title="{latest}", metrics=[METRIC]), {}, findings).title == "2.5"
