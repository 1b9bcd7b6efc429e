import pytest

from sandbox.charts import draw, number

NOW = 1_795_434_000


def post(*points, service="svc"):
    return {
        "service": service,
        "points": [{"name": name, "time": at, "value": value} for name, at, value in points],
    }


def names(charts):
    return [(chart.service, chart.name, [line.name for line in chart.lines]) for chart in charts]


def test_a_name_up_to_its_last_dot_is_one_graph():
    charts = draw(
        [
            post(("a.b.ok", NOW - 300, 1), ("a.b.ok", NOW, 1234.5), ("a.b.bad", NOW, 0)),
            post(("plain", NOW, 3)),
            post(("a.b.ok", NOW, 7), service="other"),
        ],
        NOW,
    )
    assert names(charts) == [
        ("other", "a.b", ["ok"]),
        ("svc", "a.b", ["ok", "bad"]),
        ("svc", "plain", ["plain"]),
    ]
    assert [line.latest for line in charts[1].lines] == ["1,234.5", "0"]
    assert charts[1].at == "20:40"  # Tokyo's


def test_a_later_value_replaces_the_earlier():
    (chart,) = draw([post(("a", NOW, 1)), post(("a", NOW, 2))], NOW)
    assert chart.lines[0].latest == "2"


def test_the_last_hours_before_the_newest_point():
    points = [("old", NOW - 7 * 3600, 1), ("new", NOW, 1), ("a day off", NOW + 90_000, 1)]
    assert names(draw([post(*points)], NOW)) == [("svc", "new", ["new"])]


def test_no_script_no_style_no_address():
    name = '"><script>alert(1)</script>&.x'
    (chart,) = draw([post((name, NOW, 1), (name, NOW - 60, 2))], NOW)
    svg = str(chart.svg)
    for word in (
        "<script",
        "<style",
        "style=",
        "href",
        "http://www.w3.org/1999/xlink",
        "<desc",
        "<!--",
    ):
        assert word not in svg
    assert "&lt;script&gt;" in svg  # in its label
    assert svg.count("http") == svg.count('xmlns="http://www.w3.org/2000/svg"') == 1


@pytest.mark.parametrize("value", [0, -5, 5e-324, 1e308, -1e308, 10**400, 0.1, 1e15])
def test_any_value_is_drawn(value):
    (chart,) = draw([post(("a", NOW, value), ("a", NOW - 60, 1))], NOW)
    assert "nan" not in chart.svg


@pytest.mark.parametrize("body", [None, [], "x", {}, {"points": [{"name": "a"}, 3, None]}])
def test_other_items_are_passed_over(body):
    assert draw([body], NOW) == []


def test_much_is_bounded():
    posts = [
        post(*((f"g{graph}.l{line}", NOW - at, 1) for graph in range(60) for line in range(12)))
        for at in range(3)
    ]
    charts = draw(posts, NOW)
    assert len(charts) == 48
    assert (len(charts[0].lines), charts[0].more) == (8, 4)
    (many,) = draw([post(*(("a", NOW - at, at) for at in range(20_000)))], NOW)
    assert len(many.svg) < 20_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.125, "0.125"), (999.5, "999.5"), (1234, "1,234"), (-12345.67, "-12,345.7"),
        (1_500_000, "1.5M"), (2e9, "2G"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text
