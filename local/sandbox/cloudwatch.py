"""A front for CloudWatch: every signed request goes on, untouched, to the laptop's AWS.

The caller is judged there (see `onward`). Added is what that AWS lacks, over JSON (what boto3
speaks), after it judged the caller:

- queries of GetMetricData with an `Expression` are evaluated here, from series fetched with the
  laptop's root key;
- points come in the order of `ScanBy`, newest first by default;
- GetMetricWidgetImage, which that AWS does not know: where it answers InvalidAction, and not that
  the role or the signature is wrong, the picture is drawn here (`widget`, `widget_image`);
- more than 500 queries, ids that are malformed or not unique, and bad expressions: ValidationError.
"""

import base64
import http.client
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import metric_math, onward, widget
from sandbox.inbox import Inbox
from sandbox.metric_math import Series
from sandbox.onward import Answer
from sandbox.service import Service, setting

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_TARGET = "GraniteServiceVersion20100801"
_MOST_QUERIES = 500
_CODES = {
    400: "ValidationError",
    403: "AccessDenied",
    404: "ResourceNotFoundException",
    429: "Throttling",
    500: "InternalServiceError",
    503: "ServiceUnavailable",
}


class Invalid(ValueError):
    """A request that CloudWatch would answer with ValidationError; the message says why."""


def play(_: Inbox, environ: Mapping[str, str]) -> list[Service]:
    """Make the one service of the environment: requests go on to its SANDBOX_AWS_ENDPOINT."""
    endpoint = setting(environ, "SANDBOX_AWS_ENDPOINT")

    async def pass_on(request: Request) -> Response:
        if not onward.signed(request):
            return refuse(request, 403, "Missing Authentication Token")
        body = await request.body()
        try:
            answer = await run_in_threadpool(onward.pass_on, endpoint, request, body)
            if answer.status == 200 and _operation(request) == "GetMetricData":
                region = onward.region(request)
                answer = await run_in_threadpool(_complete, endpoint, region, body, answer)
            elif _unknown(answer) and _operation(request) == "GetMetricWidgetImage":
                region = onward.region(request)
                return await run_in_threadpool(_image, endpoint, region, body)
        except Invalid as error:
            return refuse(request, 400, str(error))
        except (OSError, http.client.HTTPException) as error:
            return refuse(request, 503, f"{endpoint} does not answer: {error}")
        return onward.respond(answer)

    return [
        Service(
            name="cloudwatch",
            routes=[
                Route("/", pass_on, methods=["POST"]),
                Route("/service/{service}/operation/{operation}", pass_on, methods=["POST"]),
            ],
            refuse=refuse,
        )
    ]


def refuse(request: Request, status: int, message: str | None) -> Response:
    """Answer an error in CloudWatch's shape, in the protocol the request speaks."""
    code = _CODES.get(status, _CODES[500] if status >= 500 else _CODES[400])
    words = message or code
    fault = "Sender" if status < 500 else "Receiver"
    query_error = {"x-amzn-query-error": f"{code};{fault}"}
    kind = f"com.amazonaws.cloudwatch.v2010_08_01#{code}"
    match _protocol(request):
        case "cbor":
            body = b"\xa2" + b"".join(map(_cbor_text, ("__type", kind, "message", words)))
            headers = {"smithy-protocol": "rpc-v2-cbor", **query_error}
            return Response(body, status, headers, media_type="application/cbor")
        case "json":
            body = json.dumps({"__type": kind, "message": words}).encode()
            return Response(body, status, query_error, media_type="application/x-amz-json-1.0")
        case _:
            body = (
                '<ErrorResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><Error>'
                f"<Type>{fault}</Type><Code>{code}</Code><Message>{escape(words)}</Message>"
                "</Error></ErrorResponse>"
            ).encode()
            return Response(body, status, media_type="text/xml")


def read_series(
    endpoint: str, region: str, queries: Sequence[Mapping[str, Any]], start: float, end: float
) -> dict[str, Series]:
    """Fetch the series of MetricStat queries, by id, with the laptop's root key.

    `start` and `end` in epoch seconds. The root key sees the laptop's default account.
    """
    if not queries:
        return {}
    asked = [{**query, "ReturnData": True} for query in queries]
    body = json.dumps({"MetricDataQueries": asked, "StartTime": start, "EndTime": end}).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"{_TARGET}.GetMetricData",
    }
    answer = onward.ask(endpoint, "monitoring", region, headers, body)
    if answer.status != 200:
        raise http.client.HTTPException(f"{answer.status} {answer.body[:200].decode()}")
    found = {result["Id"]: result for result in json.loads(answer.body)["MetricDataResults"]}
    return {query["Id"]: _series(query, found.get(query["Id"], {})) for query in queries}


def _complete(endpoint: str, region: str, body: bytes, answer: Answer) -> Answer:
    """Do what the laptop's AWS left out of an answer to GetMetricData."""
    try:
        request, given = json.loads(body), json.loads(answer.body)
        queries = list(request["MetricDataQueries"])
        results = {result["Id"]: result for result in given["MetricDataResults"]}
        _check(queries)
        start, end = (_epoch(request[name]) for name in ("StartTime", "EndTime"))
    except Invalid:
        raise
    except (ValueError, KeyError, TypeError):
        return answer  # not the shape of an SDK's request: theirs to judge
    expressions = {query["Id"]: query["Expression"] for query in queries if "Expression" in query}
    if expressions:
        needed = _needed(expressions, queries)
        known = {
            query["Id"]: _series(query, results[query["Id"]])
            for query in needed
            if query["Id"] in results
        }
        rest = [query for query in needed if query["Id"] not in known]
        known |= read_series(endpoint, region, rest, start, end)
        metrics = {query["Id"]: known[query["Id"]] for query in needed}  # in the request's order
        try:
            computed = metric_math.evaluate(
                expressions, metrics, start=int(start), end=math.ceil(end)
            )
        except metric_math.ExpressionError as error:
            raise Invalid(str(error)) from None
        for query in queries:
            if query["Id"] in computed:
                results[query["Id"]] = _result(query, computed[query["Id"]])
    newest_first = request.get("ScanBy") != "TimestampAscending"
    given["MetricDataResults"] = [
        _ordered(results[query["Id"]], newest_first=newest_first)
        for query in queries
        if query.get("ReturnData", True) and query["Id"] in results
    ]
    return Answer(answer.status, answer.headers, json.dumps(given).encode())


def _unknown(answer: Answer) -> bool:
    """Tell whether the laptop's AWS does not know the operation; it judges the caller first."""
    try:
        return answer.status == 400 and json.loads(answer.body)["__type"] == "InvalidAction"
    except (ValueError, KeyError, TypeError):
        return False


def _image(endpoint: str, region: str, body: bytes) -> Response:
    """Draw what a GetMetricWidgetImage asks for."""
    from sandbox import widget_image  # noqa: PLC0415 (matplotlib is slow, and seldom needed)

    try:
        request = json.loads(body)
        text, kind = request["MetricWidget"], request.get("OutputFormat", "png")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Invalid("The parameter MetricWidget is required.") from None
    if not isinstance(text, str):
        raise Invalid("The parameter MetricWidget must be a string.")
    if kind not in ("png", "image/png"):
        raise Invalid("The parameter OutputFormat must be png or image/png.")
    try:
        asked = widget.parse(text, now=datetime.now(UTC), region=region)
        series = _widget_series(endpoint, region, asked)
        picture = widget_image.draw(asked, series, asked=text)
    except (widget.InvalidWidget, metric_math.ExpressionError) as error:
        raise Invalid(str(error)) from None
    if kind == "image/png":
        return Response(picture, media_type=kind)
    answer = {"MetricWidgetImage": base64.b64encode(picture).decode()}
    return Response(json.dumps(answer), media_type="application/x-amz-json-1.0")


def _widget_series(endpoint: str, region: str, asked: widget.Widget) -> dict[str, Series]:
    """Fetch and compute the series of a widget's lines, by id."""
    stats = {line.id: line.stat for line in asked.lines if line.stat}
    metrics: dict[str, Series] = {}
    for period in sorted({stat["Period"] for stat in stats.values()}):
        same = [
            {"Id": name, "MetricStat": stat}
            for name, stat in stats.items()
            if stat["Period"] == period
        ]
        # Whole periods, or the first and the last would be sums of a part.
        start, end = asked.start // period * period, -(-asked.end // period) * period
        metrics |= read_series(endpoint, region, same, start, end)
    expressions = {line.id: line.expression for line in asked.lines if line.expression is not None}
    return metrics | metric_math.evaluate(expressions, metrics, start=asked.start, end=asked.end)


def _check(queries: Sequence[Mapping[str, Any]]) -> None:
    if len(queries) > _MOST_QUERIES:
        raise Invalid(
            f"The collection MetricDataQueries must not have a size greater than {_MOST_QUERIES}."
        )
    seen = set()
    for number, query in enumerate(queries, 1):
        name, place = query["Id"], f"MetricDataQueries.member.{number}"
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise Invalid(
                f"The value {name} for parameter {place}.Id is not matching the expected pattern "
                "^[a-z][a-zA-Z0-9_]*$."
            )
        if name in seen:
            raise Invalid(f"The value {name} for parameter {place}.Id is not unique.")
        seen.add(name)
        if ("Expression" in query) == ("MetricStat" in query):
            raise Invalid(f"{place} must have either Expression or MetricStat.")
        if "MetricStat" in query and not query["MetricStat"]["Period"] > 0:
            raise Invalid(f"The parameter {place}.MetricStat.Period must be greater than 0.")


def _needed(
    expressions: Mapping[str, str], queries: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the metric queries that the expressions take; all of them for METRICS()."""
    stats = [query for query in queries if "MetricStat" in query]
    used: set[str] = set()
    for text in expressions.values():
        try:
            expression = metric_math.parse(text)
        except ValueError:
            continue  # evaluate says it, with its id
        if metric_math.uses_metrics(expression):
            return stats
        used |= metric_math.ids(expression)
    return [query for query in stats if query["Id"] in used]


def _series(query: Mapping[str, Any], result: Mapping[str, Any]) -> Series:
    points = zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True)
    return Series(
        int(query["MetricStat"]["Period"]), {int(_epoch(at)): float(value) for at, value in points}
    )


def _result(query: Mapping[str, Any], series: Series) -> dict[str, Any]:
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or query["Id"],
        "Timestamps": list(series.points),
        "Values": list(series.points.values()),
        "StatusCode": "Complete",
    }


def _ordered(result: dict[str, Any], *, newest_first: bool) -> dict[str, Any]:
    pairs = zip(result["Timestamps"], result["Values"], strict=True)
    points = sorted(pairs, key=lambda point: _epoch(point[0]), reverse=newest_first)
    return {
        **result,
        "Timestamps": [at for at, _ in points],
        "Values": [value for _, value in points],
    }


def _epoch(value: str | float) -> float:
    """Read a timestamp: epoch seconds, as JSON 1.0 has it, or ISO 8601 (UTC if it does not say)."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(value)


def _operation(request: Request) -> str | None:
    """Return the operation of a JSON request; None in the other protocols, which only pass."""
    if _protocol(request) != "json":
        return None
    return request.headers.get("x-amz-target", "").rpartition(".")[2]


def _protocol(request: Request) -> str:
    kind = request.headers.get("content-type", "")
    if "cbor" in kind or "smithy-protocol" in request.headers:
        return "cbor"
    return "json" if "x-amz-target" in request.headers else "query"


def _cbor_text(text: str) -> bytes:
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2, "big") + raw  # 'text, its length in the next two bytes'
