"""What API Gateway hands over, and how it is answered.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import json
import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.events import InvalidEvent, require
from common.logs import encodable

log = logging.getLogger(__name__)

Answer = dict[str, Any]


class Refusal(Exception):
    """An answer that is no success: a status, a message, and perhaps headers."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        """Keep what is answered; a header's name has _ for -."""
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True)
class Request:
    """A request: header names in small letters, each query parameter with all its values."""

    method: str
    path: dict[str, str]
    query: dict[str, list[str]]
    headers: dict[str, str] = field(repr=False)
    body: str = field(repr=False)
    stage: dict[str, str]

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Request":
        """Take it from a proxy event (payload 1.0)."""
        body = event.get("body") or ""
        if event.get("isBase64Encoded"):
            body = b64decode(body).decode("utf-8", "replace")
        return cls(
            method=event["httpMethod"],
            path=event.get("pathParameters") or {},
            query=event.get("multiValueQueryStringParameters") or {},
            headers={k.lower(): v for k, v in (event.get("headers") or {}).items()},
            body=body,
            stage=event.get("stageVariables") or {},
        )

    def only(self, name: str) -> str:
        """Return the one value of a query parameter. Raises Refusal."""
        values = self.query.get(name) or []
        if len(values) != 1:
            raise Refusal(400, f"{name}: got {len(values)} of them, takes one")
        return values[0]


def answer(status: int, body: object, **headers: str) -> Answer:
    """Make an answer in JSON."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **headers},
        "body": encodable(json.dumps(body, ensure_ascii=False)),
    }


def told(status: int, message: str, request_id: str | None = None, **headers: str) -> Answer:
    """Tell a program in JSON why there is no success."""
    body = {"message": message} | ({"requestId": request_id} if request_id else {})
    return answer(status, body, **headers)


def answering(
    event: Any,
    context: Any,
    act: Callable[[Request], Answer],
    tell: Callable[..., Answer] = told,
) -> Answer:
    """Answer a proxy event by `act`, whatever happens: what fails is logged and answered with 500.

    `tell` makes the answers that are no success, as `told` does. One with 500 names the request's
    id and nothing from inside. Raises InvalidEvent for any other event.
    """
    ours = isinstance(event, Mapping) and "httpMethod" in event
    require(ours, "event", event, "an event of API Gateway")
    try:
        return act(Request.of(event))
    except Refusal as refusal:
        log.warning("refused", extra={"status": refusal.status, "reason": str(refusal)})
        return tell(refusal.status, str(refusal), **refusal.headers)
    except InvalidEvent as error:
        log.warning("refused", extra={"status": 400, "reason": str(error)})
        return tell(400, str(error))
    except Exception:
        log.exception("failed")
        request_id = getattr(context, "aws_request_id", None)
        return tell(500, "Internal server error", request_id)
