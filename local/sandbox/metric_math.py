"""CloudWatch's metric math: expressions over time series. Pure: no clock, no network.

Played: numbers, ids, `+ - * / ^`, unary minus, parentheses, `== != < <= > >=`, `AND && OR ||`,
arrays `[a, b]`, and ABS AVG CEIL FILL FLOOR IF MAX METRICS METRIC_COUNT MIN PERIOD SUM TIME_SERIES.
The rules, from 'Using math expressions with CloudWatch metrics':

- An operator's result has a point where all its series have one; division by zero, and whatever
  else is no finite number, drops the point. A comparison takes a missing value for 0.
- SUM, AVG, MIN, MAX of one series is a scalar; of an array, a series with a point wherever any of
  them has one; AVG takes the missing ones for 0.
- The result of an expression must be a series. (CloudWatch also returns arrays; this does not.)
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple, TypeAlias, TypeVar

_TOKENS = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]])
    )""",
    re.VERBOSE,
)
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_LONGEST = 2048  # characters, CloudWatch's own limit
_DEEPEST = 50
_MOST_POINTS = 100_800  # what one GetMetricData may return
_T = TypeVar("_T")


class ExpressionError(ValueError):
    """An expression is wrong; the message is worded as CloudWatch words it."""


class _Wrong(ValueError):
    """What is wrong, before the expression's id is known."""


@dataclass(frozen=True)
class Series:
    """Values by epoch second, one `period` (in seconds) apart where there are any."""

    period: int
    points: Mapping[int, float]


class _Step(NamedTuple):
    """One step of an expression in postfix order; `arity` is the number of arguments."""

    kind: str
    value: str | float
    arity: int = 0


Scalar: TypeAlias = float | None  # None: no number, for example 1/0
_Value: TypeAlias = Scalar | Series | tuple[Series, ...] | str
Expression: TypeAlias = Sequence[_Step]


@dataclass(frozen=True)
class _Context:
    values: Mapping[str, Series]
    metrics: Collection[str]
    start: int
    end: int


def evaluate(
    expressions: Mapping[str, str], metrics: Mapping[str, Series], *, start: int, end: int
) -> dict[str, Series]:
    """Evaluate expressions (by id) over metrics and each other; returns one series for each.

    `start` (inclusive) and `end` (exclusive), epoch seconds, say what FILL and TIME_SERIES cover.
    Raises ExpressionError naming the first expression that is wrong.
    """
    parsed = {name: _named(name, parse, text) for name, text in expressions.items()}
    known = metrics.keys() | parsed.keys()
    needs: dict[str, set[str]] = {}
    for name, expression in parsed.items():
        needs[name] = ids(expression)
        for unknown in sorted(needs[name] - known):
            raise ExpressionError(f"Error in expression '{name}': Unrecognized id '{unknown}'")
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ExpressionError(
            f"Error in expression '{error.args[1][0]}': Circular reference {circle}"
        ) from None
    values = dict(metrics)
    context = _Context(values, metrics.keys(), start, end)
    for name in order:
        if name in parsed:
            values[name] = _named(name, _result, parsed[name], context)
    return {name: values[name] for name in expressions}


def ids(expression: Expression) -> set[str]:
    """Return the ids that an expression refers to."""
    return {str(step.value) for step in expression if step.kind == "id"}


def uses_metrics(expression: Expression) -> bool:
    """Tell whether an expression takes all the metrics of the request, by METRICS()."""
    return any(step.kind == "call" and step.value == "METRICS" for step in expression)


def parse(text: str) -> Expression:
    """Turn an expression into steps in postfix order. Raises ValueError saying what is wrong."""
    if not text.strip():
        raise _Wrong("The expression is empty")
    if len(text) > _LONGEST:
        raise _Wrong(f"The expression is longer than {_LONGEST} characters")
    parser = _Parser(_tokens(text))
    parser.operation(0)
    if parser.token.kind != "end":
        raise _Wrong(f"Unexpected {parser.token}")
    return tuple(parser.steps)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        return f"'{self.text}' at position {self.at}" if self.text else "end of expression"


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKENS.match(text, at)
        if not match or not match.lastgroup:
            raise _Wrong(f"Unexpected character {text[at:].lstrip()[0]!a}")
        kind, shown = match.lastgroup, match[match.lastgroup]
        sign = {"AND": "&&", "OR": "||"}.get(shown, shown)
        tokens.append(_Token("sign" if sign != shown else kind, sign, match.start(kind)))
        at = match.end()
    return [*tokens, _Token("end", "", end)]


_BINDS = {
    "||": 1, "&&": 2,
    "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4,
    "+": 5, "-": 5, "*": 6, "/": 6, "^": 8,
}  # fmt: skip
_MINUS_BINDS = 7


class _Parser:
    """Precedence climbing. The steps come out in postfix order: evaluating needs no recursion."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.steps: list[_Step] = []

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def operation(self, least: int) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Wrong("The expression is nested too deeply")
        self.operand()
        while self.token.kind == "sign" and _BINDS.get(self.token.text, -1) >= least:
            sign = self.next().text
            # '^' groups to the right: 2^3^2 is 2^9.
            self.operation(_BINDS[sign] if sign == "^" else _BINDS[sign] + 1)
            self.steps.append(_Step("operator", sign, 2))
        self.depth -= 1

    def operand(self) -> None:
        token = self.next()
        if token.kind == "number":
            self.steps.append(_Step("number", float(token.text)))
        elif token.kind == "string":
            self.steps.append(_Step("string", token.text[1:-1]))
        elif token.kind == "name":
            self.name(token)
        elif token.text == "-":
            self.operation(_MINUS_BINDS)
            self.steps.append(_Step("minus", "-", 1))
        elif token.text == "(":
            self.operation(0)
            self.expect(")")
        elif token.text == "[":
            self.steps.append(_Step("array", "[", self.arguments("]")))
        else:
            raise _Wrong(f"Unexpected {token}")

    def name(self, token: _Token) -> None:
        if _ID.fullmatch(token.text):
            self.steps.append(_Step("id", token.text))
        elif self.token.text == "(":
            self.next()
            if token.text not in _FUNCTIONS:
                played = ", ".join(sorted(_FUNCTIONS))
                raise _Wrong(f"Unsupported function {token.text} (the sandbox plays {played})")
            self.steps.append(_Step("call", token.text, self.arguments(")")))
        elif token.text == "REPEAT":
            self.steps.append(_Step("string", "REPEAT"))
        else:
            raise _Wrong(f"Unexpected {token}")

    def arguments(self, closing: str) -> int:
        count = 0
        while self.token.text != closing or count:
            self.operation(0)
            count += 1
            if self.token.text != ",":
                break
            self.next()
        self.expect(closing)
        return count

    def next(self) -> _Token:
        token = self.token
        if token.kind == "end":
            raise _Wrong(f"Unexpected {token}")
        self.at += 1
        return token

    def expect(self, text: str) -> None:
        if self.token.text != text or self.token.kind != "sign":
            raise _Wrong(f"Expected '{text}', got {self.token}")
        self.at += 1


def _result(expression: Expression, context: _Context) -> Series:
    stack: list[_Value] = []
    for step in expression:
        split = len(stack) - step.arity
        arguments = stack[split:]
        del stack[split:]
        stack.append(_step(step, arguments, context))
    (result,) = stack
    if not isinstance(result, Series):
        what = "an array" if isinstance(result, tuple) else "a scalar"
        raise _Wrong(f"The result must be a single time series, not {what}")
    return result


def _step(step: _Step, arguments: list[_Value], context: _Context) -> _Value:
    match step.kind:
        case "number" | "string":
            return step.value
        case "id":
            return context.values[str(step.value)]
        case "array":
            return tuple(series for value in arguments for series in _many(value, "[ ]"))
        case "minus":
            return _map("-", lambda value: -value, arguments)
        case "operator":
            sign = str(step.value)
            return _map(sign, _OPERATORS[sign], arguments, missing=_MISSING.get(sign))
        case _:
            function, counts = _FUNCTIONS[str(step.value)]
            if len(arguments) not in counts:
                wanted = " or ".join(str(count) for count in counts)
                raise _Wrong(f"{step.value} takes {wanted} arguments, got {len(arguments)}")
            return function(arguments, context)


def _map(
    name: str,
    function: Callable[..., float],
    values: Sequence[_Value],
    *,
    missing: float | None = None,
) -> _Value:
    """Apply a function to scalars, or point by point to series, or one by one to an array.

    Where `missing` is given it stands in for the points that only some of the series have.
    """
    arrays = [value for value in values if isinstance(value, tuple)]
    if len(arrays) > 1:
        raise _Wrong(f"{name} takes one array at most")
    if arrays:
        return tuple(
            _series(
                _map(
                    name, function, [one if v is arrays[0] else v for v in values], missing=missing
                ),
                name,
            )
            for one in arrays[0]
        )
    for value in values:
        if isinstance(value, str):
            raise _Wrong(f"{name} takes numbers and time series, got {ascii(value)[:80]}")
    series = [value for value in values if isinstance(value, Series)]
    if not series:
        return _number(function, values)
    gather = set.union if missing is not None else set.intersection
    points: dict[int, float] = {}
    for at in sorted(gather(*(set(one.points) for one in series))):
        here = [v.points.get(at, missing) if isinstance(v, Series) else v for v in values]
        result = _number(function, here)
        if result is not None:
            points[at] = result
    return Series(max(one.period for one in series), points)


def _number(function: Callable[..., float], values: Iterable[object]) -> Scalar:
    given = list(values)
    if None in given:
        return None
    try:
        result = float(function(*given))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return result if math.isfinite(result) else None


def _series(value: _Value, name: str) -> Series:
    if not isinstance(value, Series):
        raise _Wrong(f"{name} takes a time series")
    return value


def _many(value: _Value, name: str) -> tuple[Series, ...]:
    if isinstance(value, tuple):
        return value
    return (_series(value, name),)


def _scalar(value: _Value, name: str) -> Scalar:
    if value is None or isinstance(value, float):
        return value
    raise _Wrong(f"{name} takes a scalar number")


_OPERATORS: dict[str, Callable[..., float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": math.pow,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
}
_MISSING = dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "&&", "||"), 0.0)


def _each(name: str, function: Callable[[float], float]) -> Callable[..., _Value]:
    def act(arguments: list[_Value], _: _Context) -> _Value:
        return _map(name, function, arguments)

    return act


def _aggregate(
    name: str, function: Callable[[Sequence[float]], float], *, missing: float | None = None
) -> Callable[..., _Value]:
    """Make a series a scalar, and an array a series; `missing` stands for a missing point."""

    def act(arguments: list[_Value], _: _Context) -> _Value:
        (value,) = arguments
        if isinstance(value, Series):
            return _number(function, [list(value.points.values())])
        many = _many(value, name)
        points: dict[int, float] = {}
        for at in sorted({at for one in many for at in one.points}):
            here = [one.points.get(at, missing) for one in many]
            result = _number(function, [[v for v in here if v is not None]])
            if result is not None:
                points[at] = result
        return Series(max((one.period for one in many), default=60), points)

    return act


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _fill(arguments: list[_Value], context: _Context) -> _Value:
    value, filler = arguments
    if isinstance(value, tuple):
        return tuple(_series(_fill([one, filler], context), "FILL") for one in value)
    series = _series(value, "FILL")
    if isinstance(filler, str) and filler != "REPEAT":
        raise _Wrong(f"FILL takes a number, a time series or REPEAT, got {ascii(filler)[:80]}")
    points: dict[int, float] = {}
    last: float | None = None
    for at in _grid(series.period, context):
        if filler == "REPEAT":
            last = series.points.get(at, last)
        elif isinstance(filler, Series):
            last = series.points.get(at, filler.points.get(at))
        else:
            last = series.points.get(at, _scalar(filler, "FILL"))
        if last is not None:
            points[at] = last
    return Series(series.period, points)


def _grid(period: int, context: _Context) -> range:
    grid = range(context.start - context.start % period, context.end, period)
    if len(grid) > _MOST_POINTS:
        raise _Wrong(f"The time range has more than {_MOST_POINTS} periods")
    return grid


def _if(arguments: list[_Value], _: _Context) -> _Value:
    condition, *branches = arguments
    if any(isinstance(value, str | tuple) for value in arguments):
        raise _Wrong("IF takes numbers and single time series")
    if not isinstance(condition, Series):
        if condition is None:
            return None
        if condition and isinstance(branches[0], Series):
            return branches[0]
        if not condition and len(branches) > 1:
            return branches[1]
        return branches[0] if condition else Series(_period(branches), {})
    # A true condition without its point counts as 0, a false one drops the point.
    points: dict[int, float] = {}
    for at, holds in condition.points.items():
        branch = branches[0] if holds else branches[1] if len(branches) > 1 else None
        absent = 0.0 if holds else None
        value = branch.points.get(at, absent) if isinstance(branch, Series) else branch
        if isinstance(value, float):
            points[at] = value
    return Series(_period(arguments), points)


def _period(values: Iterable[_Value]) -> int:
    return max((value.period for value in values if isinstance(value, Series)), default=60)


def _metrics(arguments: list[_Value], context: _Context) -> _Value:
    part = arguments[0] if arguments else ""
    if not isinstance(part, str):
        raise _Wrong("METRICS takes a part of an id, as a string")
    return tuple(context.values[name] for name in context.metrics if part in name)


def _time_series(arguments: list[_Value], context: _Context) -> _Value:
    value = _scalar(arguments[0], "TIME_SERIES")
    period = _period(context.values.values())
    points = {} if value is None else dict.fromkeys(_grid(period, context), value)
    return Series(period, points)


_FUNCTIONS: dict[str, tuple[Callable[[list[_Value], _Context], _Value], tuple[int, ...]]] = {
    "ABS": (_each("ABS", abs), (1,)),
    "CEIL": (_each("CEIL", math.ceil), (1,)),
    "FLOOR": (_each("FLOOR", math.floor), (1,)),
    "SUM": (_aggregate("SUM", math.fsum), (1,)),
    "AVG": (_aggregate("AVG", _mean, missing=0.0), (1,)),
    "MIN": (_aggregate("MIN", min), (1,)),
    "MAX": (_aggregate("MAX", max), (1,)),
    "FILL": (_fill, (2,)),
    "IF": (_if, (2, 3)),
    "METRICS": (_metrics, (0, 1)),
    "METRIC_COUNT": (lambda arguments, _: float(len(_many(arguments[0], "METRIC_COUNT"))), (1,)),
    "PERIOD": (lambda arguments, _: float(_series(arguments[0], "PERIOD").period), (1,)),
    "TIME_SERIES": (_time_series, (1,)),
}


def _named(name: str, act: Callable[..., _T], *arguments: object) -> _T:
    try:
        return act(*arguments)
    except _Wrong as error:
        raise ExpressionError(f"Error in expression '{name}': {error}") from None
