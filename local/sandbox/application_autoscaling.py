"""Application Auto Scaling, which the laptop's AWS does not have: scalable targets, and their tags.

Who asks is judged by that AWS all the same, in two steps:

1. The request goes on to it. For a service that it does not have it would check the signature
   alone; for a path of SES's, which PATH is, it goes on to look into the caller's policies, for the
   operation's name among SES's. That refuses all but root and who may do everything, by name.
2. It is asked, with the root key, whether a principal of that name may do what was asked
   (SimulatePrincipalPolicy); that knows no conditions, boundaries or session policies.

A role that may do everything with SES, or with all of AWS, is not named by the first step; it is
refused here, in words.

Played are the targets (`scalable_targets`). Not played: policies, scheduled actions and activities
(UnknownOperationException).
"""

import http.client
import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import onward
from sandbox.inbox import Inbox
from sandbox.onward import Answer
from sandbox.scalable_targets import Fields, Place, Refused, Targets, open_targets
from sandbox.service import Service, setting

PATH = "/v2/email/application-autoscaling"
_TARGET = "AnyScaleFrontendService."
_ROOT = re.compile(rf"{onward.ROOT_KEY}|\d{{12}}")
_REFUSED = re.compile(
    r"User: (arn:aws:(?:iam|sts)::(\d{12}):\S+) is not authorized to perform: ses:"
)
_DECISION = re.compile(rb"<EvalDecision>(\w+)</EvalDecision>")
_SESSION = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.*")
_CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ObjectNotFoundException",
    429: "ThrottlingException",
    500: "InternalServiceException",
    503: "ServiceUnavailableException",
}


def play(_: Inbox, environ: Mapping[str, str]) -> list[Service]:
    """Make the one service of the environment; SANDBOX_AWS_ENDPOINT is who judges its callers."""
    endpoint = setting(environ, "SANDBOX_AWS_ENDPOINT")
    targets = open_targets(Path(setting(environ, "SANDBOX_DIR")))

    async def answer(request: Request) -> Response:
        if not onward.signed(request):
            return _error(
                "MissingAuthenticationTokenException", "Missing Authentication Token", 400
            )
        body = await request.body()
        try:
            given = await run_in_threadpool(_answer, endpoint, targets, request, body)
        except Refused as error:
            return _error(error.code, str(error), error.status)
        except (OSError, http.client.HTTPException) as error:
            return refuse(request, 503, f"{endpoint} does not answer: {error}")
        return onward.respond(given) if isinstance(given, Answer) else _json(given, 200)

    return [
        Service(
            name="application-autoscaling",
            routes=[Route(PATH, answer, methods=["POST"])],
            refuse=refuse,
        )
    ]


def refuse(_: Request, status: int, message: str | None) -> Response:
    """Answer an error in the service's shape."""
    code = _CODES.get(status, _CODES[500] if status >= 500 else _CODES[400])
    return _error(code, message or code, status)


def _answer(
    endpoint: str, targets: Targets, request: Request, body: bytes
) -> dict[str, Any] | Answer:
    """Return what a request gets: from here, or what the laptop's AWS has against its signature."""
    judged = onward.pass_on(endpoint, request, body)
    operation = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
    key, region = onward.access_key(request), onward.region(request)
    if refused := _REFUSED.match(_said(judged, "message")):
        principal, account = refused[1], refused[2]
    elif _said(judged, "__type") or judged.status >= 500:
        return judged
    elif _ROOT.fullmatch(key):
        principal, account = "", key if key.isdecimal() else "0" * 12
    else:
        raise Refused(
            "AccessDeniedException",
            "The laptop cannot tell who asks: a role that may do everything, or everything with "
            "SES, is not named by the laptop's AWS. Give it less.",
        )
    place = Place(account, region)
    fields = _fields(body)
    if principal:
        arn = targets.resource(operation, place, fields)
        _allow(endpoint, place, principal, f"application-autoscaling:{operation}", arn)
    return targets.do(operation, place, fields)


def _allow(endpoint: str, place: Place, principal: str, action: str, arn: str) -> None:
    """Raise Refused where the laptop's IAM does not let a principal do it."""
    source = _SESSION.sub(r"arn:aws:iam::\1:role/\2", principal)
    question = {
        "Action": "SimulatePrincipalPolicy",
        "Version": "2010-05-08",
        "PolicySourceArn": source,
        "ActionNames.member.1": action,
        "ResourceArns.member.1": arn,
    }
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = urlencode(question).encode()
    answer = onward.ask(endpoint, "iam", place.region, form, body, key=place.account)
    decision = _DECISION.search(answer.body)
    if answer.status != 200 or not decision:
        raise http.client.HTTPException(f"{answer.status} {answer.body[:200].decode()}")
    if decision[1] != b"allowed":
        where = "" if arn == "*" else f" on resource: {arn}"
        why = f"because no identity-based policy allows the {action} action"
        if decision[1] == b"explicitDeny":
            why = "with an explicit deny in an identity-based policy"
        raise Refused(
            "AccessDeniedException",
            f"User: {principal} is not authorized to perform: {action}{where} {why}",
        )


def _fields(body: bytes) -> Fields:
    try:
        fields = json.loads(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise Refused("SerializationException", "The body is not a JSON object.")
    return fields


def _said(answer: Answer, name: str) -> str:
    try:
        return str(json.loads(answer.body).get(name, ""))
    except (ValueError, AttributeError):
        return ""


def _error(code: str, words: str, status: int) -> Response:
    return _json({"__type": code, "Message": words}, status)


def _json(body: Mapping[str, Any], status: int) -> Response:
    return Response(
        json.dumps(body),
        status,
        {"x-amzn-RequestId": str(uuid.uuid4())},
        media_type="application/x-amz-json-1.1",
    )
