"""CloudWatch metrics: those of a payload are read, in few requests; the suite's own are counted."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from common import aws, parameters
from common.batches import send
from common.events import require
from common.parameters import ParameterError

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
QUERIES_A_REQUEST = 500

# Of the metrics that count what became of the suite's own work.
NAMESPACE = "Mimamori"
# The dimension of all that the suite puts: two environments may share an account.
ENVIRONMENT = "Environment"

Query = dict[str, Any]

_STAT = re.compile(
    r"SampleCount|Average|Sum|Minimum|Maximum|IQM"
    r"|(p|tm|tc|ts|wm)(100|\d{1,2}(\.\d{1,10})?)"
    r"|(PR|TM|TC|TS|WM)\([\d.%]*:[\d.%]*\)"
)


def check_stat(stat: str | None) -> None:
    """Raise InvalidEvent for what is no statistic of CloudWatch's; None is not given yet."""
    takes = "a statistic such as Sum or p99"
    require(stat is None or _STAT.fullmatch(stat), "stat", stat, takes)


def check_period(period: int | None) -> None:
    """Raise InvalidEvent for what is no period of CloudWatch's (seconds); None is not given yet."""
    fits = period is None or period in (1, 5, 10, 30) or (period > 0 and period % 60 == 0)
    require(fits, "period", period, "1, 5, 10, 30 or a multiple of 60 (seconds)")


@dataclass(frozen=True)
class FromParameter:
    """A value that is kept in SSM: `{"parameter": "NAME"}`."""

    parameter: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One CloudWatch metric, or an expression over others (by their `id`).

    `period` is in seconds; `stat` is a statistic or percentile such as `Sum` or `p99`. Both have
    to be there when it is asked for.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """

    id: str | None = None
    namespace: str | None = None
    metric: str | None = None
    dimensions: dict[str, str | FromParameter] = field(default_factory=dict)
    stat: str | None = None
    period: int | None = None
    expression: str | None = None

    def __post_init__(self) -> None:
        """Check against CloudWatch's rules. Raises InvalidEvent naming the field."""
        require(
            self.id is None or re.fullmatch(r"[a-z][a-zA-Z0-9_]{0,254}", self.id),
            "id",
            self.id,
            "letters, digits and _, beginning with a small letter",
        )
        check_period(self.period)
        check_stat(self.stat)
        named = {"namespace": self.namespace, "metric": self.metric}
        if self.expression is not None:
            require(self.expression.strip(), "expression", self.expression, "metric math")
            beside = named | {"stat": self.stat, "dimensions": self.dimensions or None}
            for name, value in beside.items():
                require(value is None, name, value, "nothing beside an expression")
        else:
            for name, value in named.items():
                require(value, name, value, "text, unless there is an expression")
        require(len(self.dimensions) <= 30, "dimensions", self.dimensions, "at most 30")

    def parameters(self) -> set[str]:
        """Return the names of the SSM parameters that its dimensions stand on."""
        return {v.parameter for v in self.dimensions.values() if isinstance(v, FromParameter)}

    def query(self, identifier: str, parameter: Callable[[str], str]) -> Query:
        """Return the MetricDataQuery; `parameter` gives the value of an SSM parameter's name."""
        if self.expression is not None:
            return {"Id": identifier, "Expression": self.expression, "Period": self.period}
        dimensions = [
            {
                "Name": name,
                "Value": parameter(value.parameter) if isinstance(value, FromParameter) else value,
            }
            for name, value in self.dimensions.items()
        ]
        return {
            "Id": identifier,
            "MetricStat": {
                "Metric": {
                    "Namespace": self.namespace,
                    "MetricName": self.metric,
                    "Dimensions": dimensions,
                },
                "Stat": self.stat,
                "Period": self.period,
            },
        }


@dataclass
class Series:
    """What CloudWatch said of one query: values by epoch second, and what went wrong."""

    points: dict[int, float] = field(default_factory=dict)
    status: str = "Complete"
    messages: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)

    def problem(self) -> str | None:
        """Return why the series cannot be trusted, or None."""
        if len(self.labels) > 1:
            return f"gives {len(self.labels)} series ({', '.join(sorted(self.labels))}), takes one"
        if self.status != "Complete":
            return f"CloudWatch: {self.status} {' '.join(self.messages)}".rstrip()
        return None


M = TypeVar("M", bound=Metric)


def identified(metrics: Iterable[M]) -> dict[str, M]:
    """Return metrics by id, giving one to those without.

    Raises InvalidEvent where an id stands twice, or an expression and its inputs differ in their
    period (each period is read in a window of its own).
    """
    found: dict[str, M] = {}
    for number, metric in enumerate(metrics):
        identifier = metric.id or f"metric_{number}"
        require(identifier not in found, "metrics.id", identifier, "each id once")
        found[identifier] = metric
    for identifier, metric in found.items():
        for needed in sorted(inputs(found, identifier)):
            require(
                found[needed].period == metric.period,
                "metrics.period",
                metric.period,
                f"{found[needed].period}, the period of its input {needed}",
            )
    return found


def inputs(metrics: Mapping[str, Metric], identifier: str) -> set[str]:
    """Return the ids that must be asked with one metric: itself and all its expression names."""
    needed: set[str] = set()
    pending = {identifier}
    while pending:
        needed |= pending
        words = (re.findall(r"\b[a-z]\w*", metrics[i].expression or "") for i in pending)
        pending = (set(chain.from_iterable(words)) & metrics.keys()) - needed
    return needed


def requests(metrics: Mapping[str, Metric]) -> list[list[str]]:
    """Spread the ids over requests of at most 500 queries, counting the inputs of each."""
    batches: list[list[str]] = []
    asked: set[str] = set()
    for identifier in metrics:
        needed = inputs(metrics, identifier)
        if not batches or len(asked | needed) > QUERIES_A_REQUEST:
            batches.append([])
            asked = set()
        batches[-1].append(identifier)
        asked |= needed
    return batches


class Window(NamedTuple):
    """A stretch of time, `start` inclusive, `end` exclusive."""

    start: datetime
    end: datetime


def aligned(time: datetime, period: int) -> datetime:
    """Return the time, or the last multiple of the period (seconds) before it.

    CloudWatch sums wrongly over windows whose ends are not multiples of the period.
    """
    return datetime.fromtimestamp(time.timestamp() // period * period, time.tzinfo)


def read_all(
    metrics: Mapping[str, Metric],
    windows: Mapping[int, Window],
    parameter: Callable[[str], str],
) -> tuple[dict[str, Series], dict[str, str]]:
    """Read metrics by id, each in the window of its period; return the good series and the rest.

    The rest is what failed, by id: a parameter that could not be had, a query that CloudWatch
    refused or only answered in part. The others are read. Raises ClientError where
    CloudWatch refuses the role, or is not to be reached.
    """
    series: dict[str, Series] = {}
    queries: dict[str, Query] = {}
    problems: dict[str, object] = {}
    for identifier, metric in metrics.items():
        try:
            queries[identifier] = metric.query(identifier, parameter)
        except ParameterError as error:
            problems[identifier] = error

    def ask(askable: Mapping[str, Metric], window: Window, batch: Sequence[str]) -> None:
        needed = set().union(*(inputs(askable, i) for i in batch))
        asked = [queries[i] for i in askable if i in needed]
        found = read(aws.client("cloudwatch"), asked, window)
        series.update((i, found.get(i, Series())) for i in batch)

    for period, window in windows.items():
        askable = {i: metrics[i] for i in queries if metrics[i].period == period}
        problems |= send(requests(askable), partial(ask, askable, window), refused=refuses)

    problems |= {i: problem for i, one in series.items() if (problem := one.problem())}
    good = {i: one for i, one in series.items() if i not in problems}
    return good, {i: str(problem) for i, problem in problems.items()}


def count(metric: str, dimensions: Mapping[str, str] | None = None) -> None:
    """Count one in a metric of the suite's own, now: an alarm looks at the last minutes alone.

    Its dimension is the environment of the function. With more dimensions it is counted with and
    without them: one alarm is then enough for all their values. Raises ClientError.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
    """
    own = {ENVIRONMENT: parameters.environment(parameters.path(None, None))}
    data = [
        {
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in each.items()],
            "Value": 1,
            "Unit": "Count",
        }
        for each in ([own, {**own, **dimensions}] if dimensions else [own])
    ]
    aws.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)


def refuses(error: Exception) -> bool:
    """Tell whether CloudWatch refused what it was sent, a query or a datum, not who sent it."""
    return aws.has_code(
        error,
        "ValidationError",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "MissingParameter",
        "RequestEntityTooLarge",
    )


def read(client: Any, queries: Sequence[Query], window: Window) -> dict[str, Series]:
    """Ask GetMetricData once, follow its pages, and return the series by query id.

    Raises ClientError in CloudWatch's own words.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    """
    found: dict[str, Series] = {}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries,
        StartTime=window.start,
        EndTime=window.end,
        ScanBy="TimestampAscending",
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            series = found.setdefault(result["Id"], Series())
            seconds = (int(t.astimezone(UTC).timestamp()) for t in result["Timestamps"])
            series.points.update(zip(seconds, result["Values"], strict=True))
            series.labels.add(result.get("Label", ""))
            # A partial page is followed by the rest: the last word counts.
            series.status = result.get("StatusCode", "Complete")
            series.messages = [message["Value"] for message in result.get("Messages", [])]
    return found
