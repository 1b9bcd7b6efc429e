"""Post CloudWatch graphs to a Slack channel, with a few words on each, every morning."""

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from botocore.exceptions import BotoCoreError, ClientError

from cloudwatch_to_slack import graphs
from cloudwatch_to_slack.findings import Part, find
from cloudwatch_to_slack.graphs import Graph
from cloudwatch_to_slack.widget import widget
from cloudwatch_to_slack.words import Language, comment, description
from common import aws, failures, logs, parameters
from common.cloudwatch import read_all
from common.events import parse, require
from common.parameters import ParameterError
from common.slack import Picture, Slack

# CloudWatch draws 20 graphs a second for an account: enough for this many at a time.
AT_A_TIME = 4

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload. Without `graphs` it is the trend of the users' number, against `target`."""

    channel: str
    environment: str | None = None
    path_to_parameter: str | None = None
    graphs: list[Graph] | None = None
    target: float = 100
    language: Language = "ja"
    timezone: str = "Asia/Tokyo"

    def __post_init__(self) -> None:
        """Check. Raises InvalidEvent naming the field."""
        require(
            re.fullmatch(r"[CGD][A-Z0-9]{8,}", self.channel),
            "channel",
            self.channel,
            "a channel's id such as C0123456789 (in Slack: the channel's details, at the bottom)",
        )
        require(self.graphs != [], "graphs", self.graphs, "one graph at least")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            require(None, "timezone", self.timezone, "a zone such as Asia/Tokyo")


class NoData(Exception):
    """No graph of the run has any data: nothing was posted."""


def handler(event: object, context: Any) -> dict[str, Any]:
    """Read the numbers, draw the graphs, and post them as a message, or over ten as a thread.

    Returns `{"channel", "posted": graphs, "without_data": [titles]}`. Raises NoData where no graph
    has any, SlackError, and RunFailed naming each graph that failed, the others being posted. A
    repeated event posts a second message, so Terraform has the function tried once.
    """
    deadline = monotonic() + context.get_remaining_time_in_millis() / 1000 - 2
    request = parse(Event, event)
    now = datetime.now(ZoneInfo(request.timezone))
    path = parameters.path(request.environment, request.path_to_parameter)
    trend = graphs.users(request.target, parameters.environment(path))
    shown = [graph.filled(now) for graph in request.graphs or [trend]]
    numbered = graphs.numbered(shown)
    metrics = {i: metric for own in numbered for i, metric in own.items()}
    settings = parameters.read(
        path,
        {"SLACK_BOT_TOKEN"}.union(*(metric.parameters() for metric in metrics.values())),
    )
    slack = Slack(settings["SLACK_BOT_TOKEN"], deadline=deadline)

    series, problems = read_all(metrics, graphs.windows(shown, now), settings.__getitem__)
    parts = [find(graph, own, series, now) for graph, own in zip(shown, numbered, strict=True)]
    unread = {
        part.title: "; ".join(f"{metrics[i].title}: {problems[i]}" for i in own)
        for part in parts
        if (own := [i for i in part.metrics if i in problems])
    }

    def draw(number: int, part: Part) -> dict[str, str] | Exception:
        try:
            asked = json.dumps(widget(part, now, settings.__getitem__))
            answer = aws.client("cloudwatch").get_metric_widget_image(MetricWidget=asked)
        except (ClientError, BotoCoreError, ParameterError) as error:
            return error
        words = description(part, request.language, now)
        png = answer["MetricWidgetImage"]
        return slack.upload(Picture(f"{number:02}.png", part.title, png, words))

    drawable = [part for part in parts if part.has_data]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        outcomes = list(zip(drawable, pool.map(draw, count(1), drawable), strict=True))
    files = [outcome for _, outcome in outcomes if not isinstance(outcome, Exception)]
    not_drawn = {part.title: str(o) for part, o in outcomes if isinstance(o, Exception)}
    if files:
        text = comment(parts, not_drawn, request.language, now)
        slack.complete(files, request.channel, text)

    without_data = [part.title for part in parts if not part.has_data]
    summary = {"channel": request.channel, "posted": len(files), "without_data": without_data}
    log.info("posted to Slack", extra=summary)
    failures.raise_for(not_drawn | unread, tried=len(parts))
    if not files:
        raise NoData(f"no data for {', '.join(without_data)}: nothing was posted")
    return summary
