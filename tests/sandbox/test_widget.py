import contextlib
import gc
import io
import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rcParams
from matplotlib.font_manager import findfont
from PIL import Image

from sandbox import widget, widget_image
from sandbox.metric_math import Series
from sandbox.widget import Axis

NOW = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)
REGION = "ap-northeast-1"
NAMESPACE = "RDS/RECORDS"
USERS = [NAMESPACE, "USERS", "RDS", "RECORDS"]
HERE = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def parse(**fields):
    text = json.dumps({"metrics": [USERS], **fields})
    return widget.parse(text, now=NOW, region=REGION)


def paths(text):
    with pytest.raises(widget.InvalidWidget) as caught:
        widget.parse(text, now=NOW, region=REGION)
    _, _, listed = str(caught.value).partition(": ")
    assert str(caught.value).startswith("The metric widget is invalid, there are ")
    return [error["dataPath"] for error in json.loads(listed)]


def picture(png):
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return Image.open(io.BytesIO(png)).convert("RGB")


def colors(png):
    image = picture(png)
    return {color for _, color in image.getcolors(image.width * image.height)}


def drawn(points, **fields):
    asked = parse(**fields)
    return widget_image.draw(asked, {asked.lines[0].id: Series(300, points)})


# Reading


def test_the_defaults():
    asked = parse()
    (line,) = asked.lines
    assert (asked.width, asked.height, asked.view, asked.legend) == (
        600,
        400,
        "timeSeries",
        "bottom",
    )
    assert (asked.title, asked.stacked, asked.offset) == ("", False, 0)
    assert (asked.end, asked.end - asked.start) == (int(NOW.timestamp()), 3 * 3600)
    assert (line.label, line.color, line.visible, line.right) == ("USERS", "#1f77b4", True, False)
    assert line.stat == {
        "Metric": {
            "Namespace": NAMESPACE,
            "MetricName": "USERS",
            "Dimensions": [{"Name": "RDS", "Value": "RECORDS"}],
        },
        "Period": 300,
        "Stat": "Average",
    }


def test_everything():
    asked = parse(
        metrics=[
            [*USERS, {"id": "m1", "stat": "p99.9", "period": 60, "visible": False}],
            ["A/B", "C", {"yAxis": "right", "color": "#ABCDEF", "label": "Cs"}],
            [{"expression": "m1 * 2", "id": "e1", "label": "twice"}],
        ],
        title="題",
        view="singleValue",
        stacked=True,
        stat="Sum",
        period=3600,
        start="-P7D",
        end="-P1D",
        timezone="-0330",
        width=1,
        height=2000,
        legend={"position": "right"},
        yAxis={"left": {"min": 0, "max": 1.5, "label": "y", "showUnits": False}, "right": {}},
        annotations={
            "horizontal": [
                {"value": 1, "label": "Today", "color": "#8ec6ff", "fill": "above"},
                [{"value": 3, "label": "top"}, {"value": 2, "label": "bottom"}],
                {"value": 9, "visible": False},
            ],
            "vertical": [{"value": "2026-11-23T15:00:00Z", "fill": "before"}],
        },
        live=False,
        liveData=True,
        theme="light",
        region=REGION,
    )
    first, second, third = asked.lines
    assert (first.stat["Stat"], first.stat["Period"], first.visible) == ("p99.9", 60, False)
    assert (second.stat["Stat"], second.stat["Period"], second.right) == ("Sum", 3600, True)
    assert (second.label, second.color) == ("Cs", "#ABCDEF")
    assert (third.expression, third.stat, third.id) == ("m1 * 2", None, "e1")
    assert asked.offset == -(3 * 3600 + 30 * 60)
    assert asked.end - asked.start == 6 * 86400
    assert asked.left == Axis(0, 1.5, "y")
    today, band = asked.horizontal
    assert (today.value, today.label, today.color, today.fill) == (1, "Today", "#8ec6ff", "above")
    assert (band.value, band.label, band.end, band.end_label) == (3, "top", 2, "bottom")
    (vertical,) = asked.vertical
    assert vertical.value == datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ([".", "."], ["N", "M"]),
        ([".", "Other", ".", "."], ["N", "Other", "D", "v"]),
        ([".", ".", ".", "w"], ["N", "M", "D", "w"]),
        (["..."], ["N", "M", "D", "v", "E", "w"]),
        (["...", "x"], ["N", "M", "D", "v", "E", "x"]),
        (["...", "x", ".", "y"], ["N", "M", "D", "x", "E", "y"]),
        ([".", "...", "x"], ["N", "M", "D", "v", "E", "x"]),
    ],
)
def test_shorthand(row, parts):
    before = ["N", "M", "D", "v", "E", "w"]
    _, _, line = parse(metrics=[before, [{"expression": "1"}], row]).lines
    dimensions = [text for pair in line.stat["Metric"]["Dimensions"] for text in pair.values()]
    assert [line.stat["Metric"]["Namespace"], line.stat["Metric"]["MetricName"]] == parts[:2]
    assert dimensions == parts[2:]


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([["N", "A"], [".", "B"]], ["A", "B"]),
        ([["N", "A", "D", "1"], ["...", "2"]], ["1", "2"]),
        ([["N", "A", {"stat": "Sum"}], [".", ".", {"stat": "p99"}]], ["Sum", "p99"]),
        ([["N", "A"], [".", "."]], ["A", "A"]),
        ([["N", "A", "D", "1"], ["N", "B", "D", "2", {"label": "x"}]], ["A 1", "x"]),
        ([["N", "A"], [{"expression": "a + b"}]], ["A", "a + b"]),
    ],
)
def test_labels_tell_lines_apart(rows, labels):
    assert [line.label for line in parse(metrics=rows).lines] == labels


def test_hidden_lines_take_no_colour():
    rows = [["N", "A", {"visible": False}], [".", "B"], [".", "C"]]
    assert [line.color for line in parse(metrics=rows).lines][1:] == ["#1f77b4", "#ff7f0e"]


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("-PT24H", "2026-03-01T00:30+00:00", "2026-02-28T00:30+00:00"),
        ("-PT0H", "2026-03-01T00:30+00:00", "2026-03-01T00:30+00:00"),
        ("-P7D", "2026-01-03T00:00+00:00", "2025-12-27T00:00+00:00"),
        ("-P1W", "2026-01-03T00:00+00:00", "2025-12-27T00:00+00:00"),
        ("-P1M", "2026-03-31T09:00+00:00", "2026-02-28T09:00+00:00"),
        ("-P1M", "2024-03-31T09:00+00:00", "2024-02-29T09:00+00:00"),
        ("-P1M", "2026-01-31T00:00+00:00", "2025-12-31T00:00+00:00"),
        ("-P3M", "2026-02-28T00:00+00:00", "2025-11-28T00:00+00:00"),
        ("-P14M", "2026-02-28T00:00+00:00", "2024-12-28T00:00+00:00"),
        ("-P1Y", "2024-02-29T00:00+00:00", "2023-02-28T00:00+00:00"),
        ("-P1DT1H30M10S", "2026-01-02T02:00+00:00", "2026-01-01T00:29:50+00:00"),
        ("2026-01-01T00:00:00.000Z", "2026-01-02T02:00+00:00", "2026-01-01T00:00+00:00"),
        ("2026-01-01T09:00:00+09:00", "2026-01-02T02:00+00:00", None),
        ("2026-01-01T00:00:00+00:00", "2026-01-02T02:00+00:00", None),
        ("2026-01-01", "2026-01-02T02:00+00:00", "2026-01-01T00:00+00:00"),
        ("2026-01-01T00:00:00", "2026-01-02T02:00+00:00", "2026-01-01T00:00+00:00"),
        ("-P", "2026-01-02T02:00+00:00", None),
        ("-PT", "2026-01-02T02:00+00:00", None),
        ("-PID", "2026-01-02T02:00+00:00", None),
        ("PT1H", "2026-01-02T02:00+00:00", None),
        ("-P1H", "2026-01-02T02:00+00:00", None),
        ("-P999Y9999M", "2026-01-02T02:00+00:00", "0193-10-02T02:00+00:00"),
        ("-P999Y9999M9999W99999D", "2026-01-02T02:00+00:00", None),
        ("yesterday", "2026-01-02T02:00+00:00", None),
        ("", "2026-01-02T02:00+00:00", None),
    ],
)
def test_times(text, now, expected):
    found = widget.moment(text, datetime.fromisoformat(now))
    assert found == (datetime.fromisoformat(expected) if expected else None)


@given(
    st.integers(631_152_000, 4_102_444_800).map(lambda at: datetime.fromtimestamp(at, UTC)),
    st.integers(0, 300),
)
def test_months_go_by_the_calendar(now, months):
    found = widget.moment(f"-P{months}M", now)
    assert (now.year - found.year) * 12 + now.month - found.month == months
    assert found.day == now.day or (found + timedelta(days=1)).day == 1


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"metrics": None}, ""),
        ({"metrics": []}, "/metrics"),
        ({"metrics": USERS}, "/metrics"),
        ({"metrics": [USERS] * 101}, "/metrics"),
        ({"metrics": [[1, 2]]}, "/metrics/0"),
        ({"metrics": [["N", ""]]}, "/metrics/0"),
        ({"metrics": [["N"]]}, "/metrics/0"),
        ({"metrics": [["N", "M", "D"]]}, "/metrics/0"),
        ({"metrics": [[".", "M"]]}, "/metrics/0"),
        ({"metrics": [["...", "M"]]}, "/metrics/0"),
        ({"metrics": [USERS, ["...", "...", "x"]]}, "/metrics/1"),
        ({"metrics": [[*USERS, {"color": "red"}]]}, "/metrics/0/4/color"),
        ({"metrics": [[*USERS, {"period": 7}]]}, "/metrics/0/period"),
        ({"metrics": [[*USERS, {"stat": "Mean"}]]}, "/metrics/0/stat"),
        ({"metrics": [[*USERS, {"id": "M"}]]}, "/metrics/0/4/id"),
        ({"metrics": [[*USERS, {"id": "m"}], [*USERS, {"id": "m"}]]}, "/metrics/1/4/id"),
        ({"metrics": [[*USERS, {"yAxis": "top"}]]}, "/metrics/0/4/yAxis"),
        ({"metrics": [[*USERS, {"colour": "#000000"}]]}, "/metrics/0/4/colour"),
        ({"metrics": [[{"label": "x"}]]}, "/metrics/0/0"),
        ({"metrics": [[*USERS, {"expression": "m"}]]}, "/metrics/0"),
        ({"width": 0}, "/width"),
        ({"width": 2001}, "/width"),
        ({"width": "600"}, "/width"),
        ({"height": 2001}, "/height"),
        ({"height": True}, "/height"),
        ({"title": 1}, "/title"),
        ({"view": "pie"}, "/view"),
        ({"view": ["timeSeries"]}, "/view"),
        ({"stacked": "yes"}, "/stacked"),
        ({"stat": "avg"}, "/stat"),
        ({"period": 90}, "/period"),
        ({"start": "yesterday"}, "/start"),
        ({"start": 0}, "/start"),
        ({"end": "-P1D"}, "/start"),
        ({"start": "-PT0H"}, "/start"),
        ({"timezone": "JST"}, "/timezone"),
        ({"timezone": "+2400"}, "/timezone"),
        ({"region": "us-east-1"}, "/region"),
        ({"theme": "dark"}, "/theme"),
        ({"legend": "bottom"}, "/legend"),
        ({"legend": {"position": "top"}}, "/legend/position"),
        ({"yAxis": {"left": {"min": "0"}}}, "/yAxis/left/min"),
        ({"yAxis": {"left": {"min": 1, "max": 1}}}, "/yAxis/left/min"),
        ({"yAxis": {"top": {}}}, "/yAxis/top"),
        ({"annotations": []}, "/annotations"),
        ({"annotations": {"horizontal": {}}}, "/annotations/horizontal"),
        ({"annotations": {"horizontal": [{}]}}, "/annotations/horizontal/0/value"),
        ({"annotations": {"horizontal": [[{"value": 1}]]}}, "/annotations/horizontal/0"),
        (
            {"annotations": {"horizontal": [[{"value": 1}, {"value": "2"}]]}},
            "/annotations/horizontal/0/1/value",
        ),
        (
            {"annotations": {"horizontal": [{"value": 1, "fill": "before"}]}},
            "/annotations/horizontal/0/fill",
        ),
        (
            {"annotations": {"horizontal": [{"value": 1, "color": "blue"}]}},
            "/annotations/horizontal/0/color",
        ),
        ({"annotations": {"vertical": [{"value": 1}]}}, "/annotations/vertical/0/value"),
        ({"annotations": {"vertical": [{"value": "-P1D"}]}}, "/annotations/vertical/0/value"),
        ({"stackd": True}, "/stackd"),
        ({"\ud800": True}, "/\\ud800"),
        ({"title": "x" * 103_000}, ""),
    ],
)
def test_an_invalid_widget_names_the_field(fields, path):
    assert paths(json.dumps({"metrics": [USERS], **fields})) == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '{"metrics": NaN}', "[" * 100_000])
def test_text_that_is_no_widget(text):
    assert paths(text)[0] == ""


def test_every_fault_is_listed():
    text = json.dumps({"metrics": [["N"]], "width": 0, "view": "bar", "x": 1})
    assert sorted(paths(text)) == ["/metrics/0", "/view", "/width", "/x"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["metrics", "title", "start", "end", "yAxis", "annotations", "legend", "width", "stat"]
        ),
        anything,
    )
)
def test_any_json_is_a_widget_or_one_clear_refusal(fields):
    with contextlib.suppress(widget.InvalidWidget):
        parse(**fields)


# Ticks


def ticks(start, end, hours, most):
    begin, stop = (int(datetime.fromisoformat(f"{at}Z").timestamp()) for at in (start, end))
    return [text for _, text in widget_image.time_ticks(begin, stop, hours * 3600, most)]


@pytest.mark.parametrize(
    ("start", "end", "hours", "most", "expected"),
    [
        ("2026-11-23T00:00", "2026-11-24T00:00", 9, 4, "12:00 18:00 00:00 06:00"),
        ("2026-11-23T00:05", "2026-11-23T03:05", 0, 4, "01:00 02:00 03:00"),
        ("2026-11-23T00:05", "2026-11-23T03:05", -3, 3, "22:00 23:00 00:00"),
        ("2026-12-30T10:00", "2027-01-02T10:00", 9, 6, "12/31 12:00 01/01 12:00 01/02 12:00"),
        ("2026-12-28T00:00", "2027-01-04T00:00", 9, 8, "12/29 12/30 12/31 01/01 01/02 01/03 01/04"),
        ("2026-11-01T00:00", "2026-12-01T00:00", 0, 5, "11/02 11/09 11/16 11/23 11/30"),
        ("2026-01-15T00:00", "2026-12-15T00:00", 9, 6, "2026/03 2026/05 2026/07 2026/09 2026/11"),
        ("2026-11-23T00:00", "2026-11-23T00:03", 9, 5, "09:00 09:01 09:02 09:03"),
    ],
)  # fmt: skip
def test_time_ticks(start, end, hours, most, expected):
    assert ticks(start, end, hours, most) == expected.split()


@given(
    st.integers(0, 4_000_000_000),
    st.integers(1, 1_000_000_000),
    st.integers(-95, 95).map(lambda quarters: quarters * 900),
    st.integers(0, 30),
)
def test_time_ticks_lie_within_and_are_few(start, span, offset, most):
    found = widget_image.time_ticks(start, start + span, offset, most)
    assert all(start <= at <= start + span for at, _ in found)
    assert len(found) <= max(most, 1) + 1
    zone = timezone(timedelta(seconds=offset))
    for at, text in found:
        local = datetime.fromtimestamp(at, zone)
        assert text in (f"{local:%H:%M}", f"{local:%m/%d}", f"{local.year}/{local:%m}")


@pytest.mark.parametrize(
    ("values", "axis", "from_zero", "expected"),
    [
        ([], Axis(), False, "0 0.5 1"),
        ([42], Axis(), False, "35 40 45 50"),
        ([0], Axis(), False, "-1 0 1"),
        ([1100, 1234], Axis(), True, "0 500 1k 1.5k"),
        ([-5, 5], Axis(), False, "-5 0 5"),
        ([1, 2], Axis(0, 1851), False, "0 1k"),
        ([2.5e6, 1e7], Axis(0), False, "0 5M 10M"),
        ([0.001, 0.004], Axis(), False, "0.001 0.002 0.003 0.004"),
        ([5], Axis(10), False, "10 11 12"),
        ([5], Axis(None, 1), False, "0 0.5 1"),
    ],
)
def test_the_scale(values, axis, from_zero, expected):
    fit = widget_image.scale(values, axis, 3, from_zero=from_zero)
    assert " ".join(fit.ticks.values()) == expected
    assert fit.low < fit.high
    assert axis.low in (None, fit.low)
    assert axis.high in (None, fit.high)


@given(st.lists(st.floats(-1e12, 1e12), max_size=5), st.integers(0, 40), st.booleans())
def test_a_scale_holds_its_values(values, most, from_zero):
    fit = widget_image.scale(values, Axis(), most, from_zero=from_zero)
    room = (fit.high - fit.low) * 1e-6
    assert all(fit.low - room <= value <= fit.high + room for value in values)
    assert len(fit.ticks) <= max(most, 1) + 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0001, "-0.0001"),
        (1234567, "1,234,567"),
        (12.5, "12.5"),
        (0.1 + 0.2, "0.3"),
        (1.2345e18, "1.234e+18"),
    ],
)
def test_a_value_in_full(value, text):
    assert widget_image.value_label(value) == text


# Drawing


def points(count, function):
    last = int(NOW.timestamp()) // 300 * 300
    return {last - 300 * index: float(function(index)) for index in range(count)}


@pytest.mark.parametrize(
    ("width", "height"), [(600, 400), (1, 1), (57, 29), (333, 211), (2000, 2000), (30, 2000)]
)
def test_the_size_is_exact(width, height):
    png = drawn(points(9, float), width=width, height=height, title="見守り", legend={})
    assert picture(png).size == (width, height)


def test_every_size_is_exact_by_the_numbers():
    assert [int((n + 0.01) / 100 * 100) for n in range(1, 2001)] == list(range(1, 2001))


def test_other_data_and_another_title_give_another_picture():
    variants = [
        drawn(points(9, float)),
        drawn(points(9, lambda index: index % 3)),
        drawn({}),
        drawn(points(1, float)),
        drawn(points(9, float), title="a"),
        drawn(points(9, float), title="b"),
        drawn(points(9, float), stacked=True),
        drawn(points(9, float), timezone="+0930"),
        drawn(points(9, float), legend={"position": "hidden"}),
        drawn(points(9, float), legend={"position": "right"}),
        drawn(points(9, float), view="singleValue"),
        drawn(points(9, float), yAxis={"left": {"max": 100}}),
        drawn(points(9, float), yAxis={"left": {"label": "people"}}),
    ]
    assert len({picture(png).tobytes() for png in variants}) == len(variants)
    assert drawn(points(9, float)) == variants[0]


def test_lines_and_annotations_have_their_colours():
    marks = {
        "horizontal": [
            {"value": 1234, "label": "Today", "color": "#8ec6ff"},
            {"value": 100, "label": "Target", "color": "#ff8e8e"},
        ],
        "vertical": [{"value": "2026-11-23T23:00:00Z", "label": "deployed", "color": "#00aa00"}],
    }
    found = colors(drawn(points(30, lambda index: 500 + index), annotations=marks))
    assert {(0x8E, 0xC6, 0xFF), (0xFF, 0x8E, 0x8E), (0, 0xAA, 0), (0x1F, 0x77, 0xB4)} <= found
    plain = colors(drawn(points(30, lambda index: 500 + index)))
    assert not {(0x8E, 0xC6, 0xFF), (0xFF, 0x8E, 0x8E), (0, 0xAA, 0)} & plain


def test_an_annotation_out_of_the_data_is_still_within_the_picture():
    mark = {"horizontal": [{"value": 10_000, "color": "#ff8e8e"}]}
    assert (0xFF, 0x8E, 0x8E) in colors(drawn(points(9, float), annotations=mark))


def test_no_data_is_an_empty_graph():
    png = drawn({}, legend={"position": "hidden"})
    assert (0x1F, 0x77, 0xB4) not in colors(png)


def test_both_axes_and_a_stack():
    asked = parse(metrics=[["N", "A"], [".", "B"], [".", "C", {"yAxis": "right"}]], stacked=True)
    series = {
        line.id: Series(300, points(20, lambda index, n=n: index + 100 * n))
        for n, line in enumerate(asked.lines)
    }
    found = colors(widget_image.draw(asked, series))
    assert {(0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E), (0x2C, 0xA0, 0x2C)} <= found


def test_japanese_is_drawn_whatever_fonts_the_machine_has():
    """No glyph is missing, which would be a warning and so an error here; each looks different."""
    nothing = {"position": "hidden"}
    with pytest.warns(UserWarning, match="Glyph 888 .* missing"):
        box = drawn({}, title="\u0378", legend=nothing)  # a character that Unicode does not have
    words = ["東", "京", "あ", "ア", "、", "ー", "㈱", "①", "ｱ"]
    pictures = [drawn({}, title=word, legend=nothing) for word in words]
    assert len({picture(png).tobytes() for png in (box, *pictures)}) == len(words) + 1
    labels = [drawn({}, metrics=[[*USERS, {"label": word}]]) for word in words]
    assert len({picture(png).tobytes() for png in labels}) == len(words)


def test_latin_letters_keep_matplotlibs_own_font():
    assert Path(findfont(widget_image._font(16))).name == "DejaVuSans.ttf"
    assert "IPAexGothic" not in rcParams["font.sans-serif"] + rcParams["font.family"]


@pytest.mark.filterwarnings("ignore:Glyph")  # no font has them all
@pytest.mark.parametrize(
    "title", ["$x_1^", "_y", "𠮷野家 😀 \u0e01", "a\nb\tc", "x" * 5000, "\x07"]
)
def test_any_title_is_text(title):
    assert drawn(points(3, float), title=title, metrics=[[*USERS, {"label": title}]])


def test_pictures_drawn_at_once_are_right():
    values = [points(9, lambda index, n=n: index * n) for n in range(8)]
    alone = [drawn(value) for value in values]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drawn, values)) == alone


def test_a_figure_is_freed(monkeypatch):
    made = []

    class Watched(widget_image.Figure):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(weakref.ref(self))

    monkeypatch.setattr(widget_image, "Figure", Watched)
    drawn(points(3, float))
    gc.collect()
    assert [figure() for figure in made] == [None]


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.integers(-40, 5).map(lambda n: int(NOW.timestamp()) + 300 * n),
        st.floats(-1e300, 1e300),
        max_size=5,
    ),
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from(["timeSeries", "singleValue"]),
    st.booleans(),
)
def test_any_data_in_any_size(values, width, height, view, stacked):
    png = drawn(values, width=width, height=height, view=view, stacked=stacked, title="t")
    assert picture(png).size == (width, height)


# Through the sandbox


@pytest.fixture(scope="module", autouse=True)
def data(aws, client):
    client("cloudwatch", aws).put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": "USERS",
                "Dimensions": [{"Name": "RDS", "Value": "RECORDS"}],
                "Timestamp": HERE - timedelta(minutes=5 * index),
                "Value": 1000 - index,
            }
            for index in range(1, 20)
        ],
    )


def image(cloudwatch, **fields):
    text = json.dumps({"metrics": [USERS], **fields})
    return cloudwatch.get_metric_widget_image(MetricWidget=text)["MetricWidgetImage"]


def refused(cloudwatch, **request):
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_metric_widget_image(**request)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Code"] == "ValidationError"
    return error["Error"]["Message"]


def test_the_sandbox_draws_what_is_there(cloudwatch):
    png = image(cloudwatch, title="TREND NUMBER OF USERS", width=320, height=200)
    assert picture(png).size == (320, 200)
    assert (0x1F, 0x77, 0xB4) in colors(png)
    others = [
        image(cloudwatch, metrics=[[*USERS[:3], "NOBODY"]], width=320, height=200),
        image(
            cloudwatch,
            metrics=[
                [*USERS, {"id": "m", "visible": False}],
                [{"expression": "m * 2 + FILL(m, 0)"}],
            ],
            width=320,
            height=200,
        ),
        image(
            cloudwatch,
            metrics=[[*USERS, {"period": 3600}], [*USERS, {"stat": "SampleCount"}]],
            width=320,
            height=200,
        ),
    ]
    assert len({png, *others}) == 4


def test_a_widget_may_have_a_hundred_metrics(cloudwatch):
    assert image(cloudwatch, metrics=[USERS] * 100)
    assert "/metrics" in refused(
        cloudwatch, MetricWidget=json.dumps({"metrics": [USERS] * 101}), OutputFormat="png"
    )


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"MetricWidget": "{"}, "Should be valid JSON"),
        ({"MetricWidget": "{}"}, "Should have required property 'metrics'"),
        ({"MetricWidget": json.dumps({"metrics": [USERS], "width": 0})}, '"dataPath": "/width"'),
        (
            {"MetricWidget": json.dumps({"metrics": [[{"expression": "x +", "id": "e"}]]})},
            "Error in expression 'e'",
        ),
        (
            {"MetricWidget": json.dumps({"metrics": [USERS]}), "OutputFormat": "gif"},
            "OutputFormat",
        ),
    ],
)
def test_the_errors_have_cloudwatchs_shape(cloudwatch, request_, words):
    assert words in refused(cloudwatch, **request_)


def test_a_role_is_judged_by_its_policy(front, client, role):
    with pytest.raises(ClientError) as caught:
        image(client("cloudwatch", front, *role("cloudwatch:GetMetricData")))
    assert caught.value.response["Error"]["Code"].startswith("AccessDenied")
    assert "cloudwatch:GetMetricWidgetImage" in caught.value.response["Error"]["Message"]
    key, secret, token = role("cloudwatch:GetMetricWidgetImage")
    assert image(client("cloudwatch", front, key, secret, token))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        image(client("cloudwatch", front, key, "x" * 40, token))


def test_a_bare_png_for_clients_that_want_one(front, role):
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricWidgetImage",
    }
    text = json.dumps({"metrics": [USERS]})
    body = json.dumps({"MetricWidget": text, "OutputFormat": "image/png"})
    request = AWSRequest("POST", f"{front.url}/", headers=headers, data=body)
    SigV4Auth(Credentials("test", "test"), "monitoring", REGION).add_auth(request)
    response = requests.post(f"{front.url}/", data=body, headers=dict(request.headers), timeout=30)
    assert response.headers["Content-Type"] == "image/png"
    assert picture(response.content).size == (600, 400)


def test_a_fault_comes_before_the_picture(front, cloudwatch):
    front.fault(service="cloudwatch", status=429)
    with pytest.raises(ClientError, match="Throttling"):
        image(cloudwatch)
