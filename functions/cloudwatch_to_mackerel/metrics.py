"""What is posted to Mackerel: the declarations, the window of time, the points."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from common.cloudwatch import FromParameter, Metric, Window, aligned, identified
from common.events import require

Point = dict[str, str | int | float]

# What the parameter says where no one signs in through another's door; SSM takes no empty value.
NO_PROVIDERS = "none"
# Mackerel answers 200 to older points, and drops them.
MACKEREL_TAKES = timedelta(hours=24)
# https://mackerel.io/api-docs/entry/service-metrics
_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_POOL: dict[str, str | FromParameter] = {
    "UserPool": FromParameter("AWS_COGNITO_USER_POOL_ID"),
    "UserPoolClient": FromParameter("AWS_COGNITO_CLIENT_ID"),
}


@dataclass(frozen=True, kw_only=True)
class ServiceMetric(Metric):
    """A CloudWatch metric with its name in Mackerel.

    One without a `name` is not posted: it only feeds expressions. `scale` multiplies each value.
    """

    name: str | None = None
    period: int = 300
    when_missing: Literal["skip", "zero"] = "skip"
    scale: float = 1

    def __post_init__(self) -> None:
        """Check against both services' rules. Raises InvalidEvent naming the field."""
        super().__post_init__()
        require(self.stat or self.expression, "stat", self.stat, "a statistic such as Sum or p99")
        require(
            self.name is None or _NAME.fullmatch(self.name),
            "name",
            self.name,
            "letters, digits, '.', '_' and '-'",
        )
        require(self.name or self.id, "name", self.name, "text, unless there is an id")


def providers(text: str) -> list[str]:
    """Return the identity providers that a comma list names; none for `none`."""
    names = [name.strip() for name in text.split(",")]
    return [name for name in names if name and name != NO_PROVIDERS]


def cognito(identity_providers: Sequence[str] = ()) -> list[ServiceMetric]:
    """Return the built-in set: what happened at the door of a Cognito user pool.

    Sum = successes, SampleCount = attempts, failures = the difference. CloudWatch has federation
    by provider alone, as a third dimension: one series each, and their sum. A provider that has
    letters which Mackerel does not take is called by its number, from 1.
    https://docs.aws.amazon.com/cognito/latest/developerguide/metrics-for-cognito-user-pools.html
    """
    metrics = []
    for event, name in (
        ("SignIn", "sign_in"),
        ("SignUp", "sign_up"),
        ("TokenRefresh", "token_refresh"),
    ):
        metrics += _door(event, f"cognito.{name}", f"cognito.throttle.{name}", name, _POOL)
    ids = [f"federation_{number}" for number in range(1, len(identity_providers) + 1)]
    for number, (id_, provider) in enumerate(zip(ids, identity_providers, strict=True), 1):
        name = f"cognito.federation.{provider if _NAME.fullmatch(provider) else number}"
        dimensions = _POOL | {"IdentityProvider": provider}
        metrics += _door("Federation", name, f"{name}.throttle", id_, dimensions)
    if ids:
        for name, suffix in (
            ("federation.success", "success"),
            ("federation.attempt", "attempt"),
            ("throttle.federation", "throttle"),
        ):
            of_all = ", ".join(f"{id_}_{suffix}" for id_ in ids)
            metrics.append(
                ServiceMetric(
                    id=f"federation_{suffix}", name=f"cognito.{name}", expression=f"SUM([{of_all}])"
                )
            )
        metrics.append(_failures("federation", "cognito.federation"))
    return metrics


def _door(
    event: str, name: str, throttle: str, id_: str, dimensions: dict[str, str | FromParameter]
) -> list[ServiceMetric]:
    return [
        ServiceMetric(
            id=f"{id_}_{suffix}",
            name=posted,
            namespace="AWS/Cognito",
            metric=f"{event}{metric}",
            dimensions=dimensions,
            stat=stat,
        )
        for suffix, posted, metric, stat in (
            ("success", f"{name}.success", "Successes", "Sum"),
            ("attempt", f"{name}.attempt", "Successes", "SampleCount"),
            ("throttle", throttle, "Throttles", "Sum"),
        )
    ] + [_failures(id_, name)]


def _failures(id_: str, name: str) -> ServiceMetric:
    return ServiceMetric(name=f"{name}.failure", expression=f"{id_}_attempt - {id_}_success")


def by_id(metrics: Sequence[ServiceMetric]) -> dict[str, ServiceMetric]:
    """Return the metrics by id. Raises InvalidEvent where they do not fit together."""
    names = [metric.name for metric in metrics if metric.name]
    for name in names:
        require(names.count(name) == 1, "metrics.name", name, "each name once")
    return identified(metrics)


def instant(text: str, field: str) -> datetime:
    """Return the time that an ISO 8601 text with a zone names. Raises InvalidEvent."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    require(time and time.tzinfo, field, text, "a time with its zone: 2026-11-23T09:00:00+09:00")
    return time  # type: ignore[return-value]


def window(at: datetime, period: int, *, delay: int, length: int) -> Window:
    """Return the window that ends `delay` seconds before `at` and goes back `length` seconds.

    Both ends are aligned to the period (seconds), and it holds one period at least.
    """
    end = aligned(at - timedelta(seconds=delay), period)
    return Window(aligned(end - timedelta(seconds=max(length, period)), period), end)


def points(metric: ServiceMetric, values: dict[int, float], span: Window) -> list[Point]:
    """Return what Mackerel is to be sent of one metric: `[{"name", "time", "value"}]`.

    `values` are by epoch second. Where `when_missing` is `zero`, every period of the window that
    has no value gets 0.
    """
    if metric.when_missing == "zero":
        times = range(int(span.start.timestamp()), int(span.end.timestamp()), metric.period)
        values = dict.fromkeys(times, 0) | values
    return [
        {"name": metric.name or "", "time": time, "value": value * metric.scale}
        for time, value in sorted(values.items())
    ]
