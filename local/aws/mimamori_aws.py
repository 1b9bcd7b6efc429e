"""The laptop's AWS: ministack, with what it lacks beside AWS. It runs in ministack's environment.

Where a function cannot be imported, or its process ends, ministack tells the caller alone, and the
log has START and END as after a run that went well. Lambda's runtime writes the error as a line of
JSON, which this adds.
https://github.com/aws/aws-lambda-python-runtime-interface-client (bootstrap.py, log_error)

CloudWatch matches dimensions whole: a query without any reads the metric that has none, where
ministack reads all of that name.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension
"""

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.app import app
from ministack.services import cloudwatch, lambda_svc

__all__ = ["app"]

Execute = Callable[[dict[str, Any], Any, str], dict[str, Any]]
_NOT_IMPORTED = "Worker init failed: "


def telling(execute: Execute) -> Execute:
    """Return `execute`, which runs a function once, with a log that has the error in any case."""

    @functools.wraps(execute)
    def run(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        result = execute(func, event, request_id)
        if result.get("error") and not result.get("log"):
            handler = str((func.get("config") or func).get("Handler"))
            error = _as_lambda(result["body"], handler) | {"requestId": request_id}
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            line = {"timestamp": at, "log_level": "ERROR", **error, "stackTrace": []}
            result |= {"body": error, "log": json.dumps(line, ensure_ascii=False)}
        return result

    return run


def _as_lambda(body: dict[str, Any], handler: str) -> dict[str, Any]:
    message = str(body.get("errorMessage"))
    if not message.startswith(_NOT_IMPORTED):
        return {"errorMessage": message, "errorType": body.get("errorType")}
    module = handler.rpartition(".")[0]
    reason = message.removeprefix(_NOT_IMPORTED)
    said = f"Unable to import module '{module}': {reason}"
    return {"errorMessage": said, "errorType": "Runtime.ImportModuleError"}


class Whole(dict[str, str]):
    """The dimensions of a query; ministack takes a false value for 'whatever they are'."""

    def __bool__(self) -> bool:
        """Return True, without any as well."""
        return True


def whole(read: Callable[[Any], dict[str, str]]) -> Callable[[Any], Whole]:
    """Return `read`, which reads the dimensions of a query, so that they are matched whole."""
    return lambda dimensions: Whole(read(dimensions))


cloudwatch._dims_from_list = whole(cloudwatch._dims_from_list)  # noqa: SLF001
lambda_svc._execute_function_warm = telling(lambda_svc._execute_function_warm)  # noqa: SLF001
