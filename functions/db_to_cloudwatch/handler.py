"""Run the SQL files in queries/ and put each numeric column into CloudWatch, once a minute."""

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from common import aws, failures, logs, mysql, parameters
from common.batches import pack, send
from common.cloudwatch import refuses
from common.events import parse, require
from common.queries import InvalidQuery
from db_to_cloudwatch import database, queries
from db_to_cloudwatch.metrics import InvalidResult, data

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
DATA_A_REQUEST = 1000
BYTES_A_REQUEST = 1_000_000

# A query's name, and a datum that it gave.
Named = tuple[str, dict[str, Any]]

logs.set_up()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """The payload: `queries` names some of the files (without `.sql`); without it, all run."""

    environment: str | None = None
    path_to_parameter: str | None = None
    queries: list[str] | None = None

    def __post_init__(self) -> None:
        """Check that the queries exist. Raises InvalidEvent."""
        known = queries.names()
        for name in self.queries if self.queries is not None else known:
            require(name in known, "queries", name, " or ".join(known))
        require(self.queries != [], "queries", self.queries, "one name at least")


def handler(event: object, context: object) -> dict[str, Any]:  # noqa: ARG001
    """Run the queries, and send what they gave with one time stamp.

    Returns `{"queries": run, "metrics": sent, "at": time stamp}`. Raises RunFailed naming
    each query that failed, the others being sent. A repeated event adds another sample of the same
    number: Average, Minimum and Maximum stay right, Sum does not.
    """
    request = parse(Event, event)
    path = parameters.path(request.environment, request.path_to_parameter)
    settings = mysql.Settings.of(parameters.read(path, mysql.PARAMETERS))
    names = request.queries or queries.names()
    environment, now = parameters.environment(path), datetime.now(UTC)

    measured: dict[str, list[Named]] = defaultdict(list)
    failed: dict[str, str] = {}
    for name in names:
        try:
            query = queries.load(name)
            found = data(query.header, database.run(settings, query), now, environment)
        except (InvalidQuery, InvalidResult, pymysql.MySQLError) as error:
            failed[f"{name}.sql"] = str(error)
        else:
            measured[query.header.namespace] += [(name, datum) for datum in found]

    sent = 0
    for namespace, named in measured.items():
        put_here, refused = put(namespace, named)
        sent += put_here
        failed |= refused
    summary = {"queries": len(names), "metrics": sent, "at": now.isoformat()}
    log.info("put to CloudWatch", extra=summary)
    failures.raise_for(failed, tried=len(names))
    return summary


def put(namespace: str, named: Sequence[Named]) -> tuple[int, dict[str, str]]:
    """Put the data of one namespace, each with its query's name, in as few requests as may be.

    Returns how many were sent, and what CloudWatch refused, by name.
    """
    sent = 0

    def act(batch: Sequence[Named]) -> None:
        nonlocal sent
        aws.client("cloudwatch").put_metric_data(
            Namespace=namespace, MetricData=[datum for _, datum in batch]
        )
        sent += len(batch)

    batches = pack(named, (DATA_A_REQUEST, lambda _: 1), (BYTES_A_REQUEST, _bytes))
    try:
        culprits = send(batches, act, refused=refuses)
    except (ClientError, BotoCoreError) as error:
        return sent, {f"{name}.sql": str(error) for name, _ in named}
    return sent, {f"{name}.sql: {datum['MetricName']}": str(e) for (name, datum), e in culprits}


def _bytes(item: Named) -> int:
    return len(json.dumps(item[1], default=str))
