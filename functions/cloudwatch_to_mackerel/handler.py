"""Post CloudWatch metrics, Cognito's by default, to Mackerel as service metrics."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from cloudwatch_to_mackerel.metrics import (
    MACKEREL_TAKES,
    Point,
    ServiceMetric,
    by_id,
    cognito,
    instant,
    points,
    providers,
    window,
)
from cloudwatch_to_mackerel.service_metrics import POINTS_A_POST, Refused, ServiceMetrics
from common import failures, logs, parameters
from common.batches import pack, send
from common.cloudwatch import Window, read_all
from common.events import parse, require

_PROVIDERS = "AWS_COGNITO_IDENTITY_PROVIDERS"

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload. Without `metrics` it is Cognito's built-in set; `cognito` adds that to them.

    `window` and `delay` are in seconds; `at` (ISO 8601 with a zone) replays a window of the past.
    """

    mackerel_service: str
    environment: str | None = None
    path_to_parameter: str | None = None
    metrics: list[ServiceMetric] | None = None
    cognito: bool | None = None
    window: int = 1800
    delay: int = 600
    at: str | None = None

    def __post_init__(self) -> None:
        """Check what the fields say together. Raises InvalidEvent naming the field."""
        require(
            re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{1,62}", self.mackerel_service),
            "mackerel_service",
            self.mackerel_service,
            "the name of a service in Mackerel",
        )
        require(self.window > 0, "window", self.window, "seconds, more than 0")
        require(self.delay >= 0, "delay", self.delay, "seconds, 0 or more")
        for metric in self.declared().values():
            require(
                self.delay + self.window + metric.period < MACKEREL_TAKES.total_seconds(),
                "window",
                self.window,
                f"less than 24 hours with delay and period ({metric.period}): "
                "Mackerel drops older points",
            )
        if self.at is not None:
            instant(self.at, "at")

    @property
    def built_in(self) -> bool:
        """Whether Cognito's set is wanted."""
        return self.metrics is None if self.cognito is None else self.cognito

    def declared(self, identity_providers: Sequence[str] = ()) -> dict[str, ServiceMetric]:
        """Return the metrics to read, by id. Raises InvalidEvent where they do not fit together."""
        of_cognito = cognito(identity_providers) if self.built_in else []
        metrics = [*(self.metrics or []), *of_cognito]
        require(metrics, "metrics", self.metrics, "at least one metric")
        return by_id(metrics)

    def window_for(self, period: int, now: datetime) -> Window:
        """Return the window of time to read with a period. Raises InvalidEvent for a bad `at`."""
        at = now if self.at is None else instant(self.at, "at")
        span = window(at, period, delay=self.delay, length=self.window)
        require(
            at <= now and now - span.start < MACKEREL_TAKES,
            "at",
            self.at,
            "a time whose window lies within the last 24 hours: Mackerel drops older points",
        )
        return span


def handler(event: object, context: Any) -> dict[str, Any]:
    """Read the window from CloudWatch and post it.

    Returns counts: `{"posted": points, "metrics": with data, "without_data": [names], …}`. Raises
    RunFailed naming each metric that failed, the others being posted. A repeated event does no
    harm: Mackerel overwrites a point that has the same name and time.
    """
    deadline = monotonic() + context.get_remaining_time_in_millis() / 1000 - 2
    request = parse(Event, event)
    declared = request.declared().values()
    now = datetime.now(UTC)
    windows = {metric.period: request.window_for(metric.period, now) for metric in declared}
    named = {"MACKEREL_API_KEY", *([_PROVIDERS] if request.built_in else [])}
    settings = parameters.read(
        parameters.path(request.environment, request.path_to_parameter),
        named.union(*(metric.parameters() for metric in declared)),
    )
    metrics = request.declared(providers(settings[_PROVIDERS]) if request.built_in else ())
    mackerel = ServiceMetrics(settings["MACKEREL_API_KEY"], deadline=deadline)

    series, problems = read_all(metrics, windows, settings.__getitem__)
    failed = {metrics[i].name or i: problem for i, problem in problems.items()}
    found = {
        metric.name: points(metric, series[identifier].points, windows[metric.period])
        for identifier, metric in metrics.items()
        if metric.name and identifier in series
    }
    to_post = {name: of_it for name, of_it in found.items() if of_it}
    failed |= post(mackerel, request.mackerel_service, to_post)

    posted = {name: of_it for name, of_it in to_post.items() if name not in failed}
    summary = {
        "service": request.mackerel_service,
        "posted": sum(map(len, posted.values())),
        "metrics": len(posted),
        "without_data": sorted(found.keys() - to_post.keys()),
        "from": min(span.start for span in windows.values()).isoformat(),
        "until": max(span.end for span in windows.values()).isoformat(),
    }
    log.info("posted to Mackerel", extra=summary)
    failures.raise_for(failed, tried=len(metrics))
    return summary


def post(
    mackerel: ServiceMetrics, service: str, to_post: Mapping[str, list[Point]]
) -> dict[str, str]:
    """Post the points of each name, in batches; return what Mackerel refused, by name."""
    culprits = send(
        pack(to_post.items(), (POINTS_A_POST, lambda item: len(item[1]))),
        lambda batch: mackerel.post_service_metrics(
            service, [point for _, points in batch for point in points]
        ),
        refused=lambda error: isinstance(error, Refused),
    )
    return {name: str(error) for (name, _), error in culprits}
