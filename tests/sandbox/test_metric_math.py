import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.metric_math import ExpressionError, Series, evaluate, parse

START, END = 0, 300  # five periods of a minute


def series(*values, period=60):
    """Points from START on; None where there is none."""
    return Series(period, {i * period: float(v) for i, v in enumerate(values) if v is not None})


METRICS = {
    "a": series(1, 2, None, 4, 5),
    "b": series(10, None, 30, 0, 2),
    "none": series(),
}


def value(text, **metrics):
    found = evaluate({"e": text}, METRICS | metrics, start=START, end=END)["e"]
    return [found.points.get(at) for at in range(START, END, 60)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [1, 2, None, 4, 5]),
        ("-a", [-1, -2, None, -4, -5]),
        ("a + b", [11, None, None, 4, 7]),
        ("b - a", [9, None, None, -4, -3]),
        ("a*2+1", [3, 5, None, 9, 11]),
        ("1+a*2", [3, 5, None, 9, 11]),
        ("(a+1)*2", [4, 6, None, 10, 12]),
        ("a/b", [0.1, None, None, None, 2.5]),  # division by zero drops the point
        ("a / 0", [None] * 5),
        ("a * (1/0)", [None] * 5),
        ("a^2", [1, 4, None, 16, 25]),
        ("-a^2", [-1, -4, None, -16, -25]),
        ("2^3^2 + 0*a", [512, 512, None, 512, 512]),
        ("2^-1 * a", [0.5, 1, None, 2, 2.5]),
        ("10 - 3 - 2 + 0*a", [5, 5, None, 5, 5]),
        ("12 / 3 / 2 * a", [2, 4, None, 8, 10]),
        ("(0-a)^0.5", [None] * 5),  # no real number
        ("(a*0 + 10)^400", [None] * 5),  # too large
        ("a * 1e308 * 10", [None] * 5),
        ("1.5e1 + a - .5", [15.5, 16.5, None, 18.5, 19.5]),
        ("a + none", [None] * 5),
        ("SUM([a, b])", [11, 2, 30, 4, 7]),
        ("AVG([a, b])", [5.5, 1, 15, 2, 3.5]),
        ("MIN([a, b])", [1, 2, 30, 0, 2]),
        ("MAX([a, b])", [10, 2, 30, 4, 5]),
        ("SUM(METRICS())", [11, 2, 30, 4, 7]),
        ('SUM(METRICS("a"))', [1, 2, None, 4, 5]),
        ("SUM([METRICS('a'), b])", [11, 2, 30, 4, 7]),
        ("MAX([a, b] / 2)", [5, 1, 15, 2, 2.5]),
        ("SUM(100 - [a, b])", [189, 98, 70, 196, 193]),
        ("a - MIN(a)", [0, 1, None, 3, 4]),
        ("a / SUM(a)", [1 / 12, 2 / 12, None, 4 / 12, 5 / 12]),
        ("a - AVG(a)", [-2, -1, None, 1, 2]),
        ("a * MAX(none)", [None] * 5),
        ("FILL(a, 0)", [1, 2, 0, 4, 5]),
        ("FILL(none, 7)", [7] * 5),
        ("FILL(b, REPEAT)", [10, 10, 30, 0, 2]),
        ("FILL(none, REPEAT)", [None] * 5),
        ("FILL(a, b)", [1, 2, 30, 4, 5]),
        ("FILL(a, MIN(a))", [1, 2, 1, 4, 5]),
        ("SUM(FILL([a, b], 0))", [11, 2, 30, 4, 7]),
        ("ABS(a - 3)", [2, 1, None, 1, 2]),
        ("CEIL(a / 2)", [1, 1, None, 2, 3]),
        ("FLOOR(a / 2)", [0, 1, None, 2, 2]),
        ("a > 2", [0, 0, None, 1, 1]),
        ("a < b", [1, 0, 1, 0, 0]),  # a comparison takes a missing value for 0
        ("a > 1 AND b > 1", [0, 0, 0, 0, 1]),
        ("a > 1 && b > 1 || a == 1", [1, 0, 0, 0, 1]),
        ("IF(a > 2, a)", [None, None, None, 4, 5]),
        ("IF(a > 2, 10, 20)", [20, 20, None, 10, 10]),
        ("IF(a > 1, b, a)", [1, 0, None, 0, 2]),
        ("IF(1, a, b)", [1, 2, None, 4, 5]),
        ("IF(0, a, b)", [10, None, 30, 0, 2]),
        ("IF(0, a)", [None] * 5),
        ("a / PERIOD(a)", [1 / 60, 2 / 60, None, 4 / 60, 5 / 60]),
        ("a * METRIC_COUNT(METRICS())", [3, 6, None, 12, 15]),
        ("TIME_SERIES(3)", [3] * 5),
    ],
)
def test_values(text, expected):
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a +", "Unexpected end of expression"),
        ("a b", "Unexpected 'b' at position 2"),
        ("(a", "Expected ')', got end of expression"),
        ("a)", "Unexpected ')'"),
        ("a ? b", "Unexpected character '?'"),
        ("a; b", "Unexpected character ';'"),
        ("a + 見", "Unexpected character '\\u898b'"),
        ("a + c", "Unrecognized id 'c'"),
        ("a.b", "Unexpected character '.'"),
        ("__import__('os')", "Unsupported function __import__"),
        ("A + a", "Unexpected 'A'"),
        ("sum(a)", "Unexpected '('"),
        ("SEARCH('x', 'Sum', 60)", "Unsupported function SEARCH"),
        ("SELECT AVG(x) FROM y", "Unexpected 'SELECT'"),
        ("SUM(a, b)", "SUM takes 1 arguments, got 2"),
        ("SUM()", "SUM takes 1 arguments, got 0"),
        ("SUM(a,)", "Unexpected ')'"),
        ("SUM(a", "Expected ')'"),
        ("SUM a", "Unexpected 'SUM'"),
        ("SUM(3) * a", "SUM takes a time series"),
        ("FILL(a, 'x')", "FILL takes a number"),
        ("FILL(a, LINEAR)", "Unexpected 'LINEAR'"),
        ("FILL(3, 0)", "FILL takes a time series"),
        ("REPEAT", "single time series"),
        ("'x' + a", "+ takes numbers and time series"),
        ("3", "not a scalar"),
        ("SUM(a)", "not a scalar"),
        ("[a, b]", "not an array"),
        ("METRICS() + METRICS()", "+ takes one array at most"),
        ("[]", "not an array"),
        ("a" + " + a" * 700, "longer than 2048"),
        ("(" * 900 + "a" + ")" * 900, "nested too deeply"),
        ("-" * 2000 + "a", "nested too deeply"),
        ("2^" * 900 + "a", "nested too deeply"),
    ],
)
def test_errors_are_worded_as_cloudwatch_words_them(text, words):
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert str(caught.value).startswith("Error in expression 'e': ")
    assert words in str(caught.value)


def test_long_sums_need_no_recursion():
    assert value("+".join(["a"] * 1000))[0] == 1000
    chain = {"e0": "a"} | {f"e{n}": f"e{n - 1} + a" for n in range(1, 500)}
    assert evaluate(chain, METRICS, start=START, end=END)["e499"].points[0] == 500


def test_expressions_refer_to_each_other_in_any_order():
    found = evaluate({"x": "y * 2", "y": "a + 1"}, METRICS, start=START, end=END)
    assert found["x"].points[0] == 4
    assert list(found) == ["x", "y"]


@pytest.mark.parametrize("circle", [{"x": "x + a"}, {"x": "y", "y": "z", "z": "x"}])
def test_a_circle_is_named(circle):
    with pytest.raises(ExpressionError, match="Circular reference"):
        evaluate(circle, METRICS, start=START, end=END)


def test_metrics_leaves_expressions_out():
    found = evaluate({"x": "a + 1", "y": "SUM(METRICS())"}, METRICS, start=START, end=END)
    assert found["y"].points[0] == 11


def test_the_longest_period_counts():
    found = evaluate(
        {"x": "a + l"}, METRICS | {"l": series(1, 2, period=120)}, start=START, end=END
    )["x"]
    assert (found.period, found.points) == (120, {0: 2.0})


def test_fill_of_too_long_a_range():
    with pytest.raises(ExpressionError, match="periods"):
        evaluate({"x": "FILL(a, 0)"}, METRICS, start=0, end=10**9)


# Against Python: the same tree, written out for both and worked out point by point.

leaves = st.sampled_from(["m0", "m1", "m2"]) | st.integers(0, 9).map(str)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(st.sampled_from("+-*/"), inner, inner)
        | st.tuples(st.sampled_from(["neg", "ABS", "CEIL"]), inner)
    ),
    max_leaves=12,
)
points = st.dictionaries(
    st.integers(0, 4).map(lambda n: n * 60), st.integers(-9, 9).map(float), max_size=5
)


def written(tree):
    match tree:
        case str():
            return tree
        case ("neg", one):
            return f"(-{written(one)})"
        case (name, one):
            return f"{name}({written(one)})"
        case (sign, left, right):
            return f"({written(left)} {sign} {written(right)})"


def worked_out(tree, here):
    match tree:
        case str():
            return here[tree] if tree in here else float(tree)
        case (name, one):
            return {"neg": lambda v: -v, "ABS": abs, "CEIL": math.ceil}[name](worked_out(one, here))
        case (sign, left, right):
            x, y = worked_out(left, here), worked_out(right, here)
            return {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y, "/": lambda: x / y}[
                sign
            ]()


@given(trees, st.tuples(points, points, points))
def test_arithmetic_agrees_with_python(tree, given_points):
    text = f"m0 + 0 * ({written(tree)}) + {written(tree)}"
    metrics = {f"m{n}": Series(60, one) for n, one in enumerate(given_points)}
    used = [metrics[name].points for name in metrics if name in text]
    expected = {}
    for at in set.intersection(*(set(one) for one in used)):
        here = {name: one.points.get(at) for name, one in metrics.items()}
        try:
            result = worked_out(tree, here)
        except ZeroDivisionError:
            continue
        if math.isfinite(result):
            expected[at] = here["m0"] + 0 * result + result
    found = evaluate({"e": text}, metrics, start=0, end=300)["e"].points
    assert found == pytest.approx(expected)


@given(st.text("abm012 +-*/^()[],<>=&|'\"FILSUMRAPET.", max_size=40) | st.text(max_size=40))
def test_any_text_is_an_expression_or_one_clear_error(text):
    try:
        parse(text)
        evaluate({"e": text}, METRICS, start=START, end=END)
    except ValueError as error:
        assert str(error)
