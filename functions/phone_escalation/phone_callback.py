"""Speaks with Twilio: dials what the table's stream brings, and answers Twilio's webhooks."""

import logging
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import BotoCoreError, ClientError

from common import events, failures, logs, parameters
from common.api import Answer, Refusal, Request, answering
from common.parameters import ParameterError
from phone_escalation import addresses, conversation, rotation, store, twiml, words
from phone_escalation.dialler import look_after
from phone_escalation.rotation import Rotation
from phone_escalation.session import Session
from phone_escalation.signature import signed

# A step of a conversation: the telling of the first batch, or with the batch before it.
STEP = re.compile(r"([0-9]{1,2}-)?[0-2]")

logs.set_up()
log = logging.getLogger(__name__)


def handler(event: object, context: Any) -> dict[str, Any]:
    """Take API Gateway's events (Twilio's webhooks), or the table's stream.

    A repeated webhook finds the same answer, a repeated record nothing left to do. Raises RunFailed
    naming the sessions of the records that failed; the sweep finds them again.
    """
    records = events.records(event, "dynamodb")
    if records is None:
        return answering(event, context, _webhook)
    done: dict[str, list[str]] = {}
    failed: dict[str, object] = {}
    tokens = {record["dynamodb"]["Keys"]["token"]["S"] for record in records}
    for token in sorted(tokens):
        # The whole token would be a key to the session.
        name = f"{token[:4]}…"
        try:
            done[name] = look_after(token, context)
        except Exception as error:  # noqa: BLE001 (each is named at the end)
            failed[name] = error
    failures.raise_for(failed, tried=len(tokens))
    return {"done": done}


def _webhook(request: Request) -> Answer:
    now = int(time.time())
    token, step = addresses.split(request.only("token"))
    group_id, cont = request.path["groupId"], request.path["cont"]
    fields = parse_qsl(request.body, keep_blank_values=True)
    number = int(cont) if re.fullmatch(r"[1-9][0-9]{0,3}", cont) else 0
    address = addresses.of(group_id, number, token, step)
    given = request.headers.get("x-twilio-signature", "")
    known = given and (step == addresses.STATUS or STEP.fullmatch(step))
    if not known or not signed(given, _tokens(), address, fields):
        raise Refusal(403, "Forbidden")
    said = dict(fields)
    sid = said.get("CallSid", "")
    if not sid:
        raise Refusal(400, "CallSid: missing")
    if step == addresses.STATUS:
        status = said.get("CallStatus", "")
        changed = store.change(
            token, now, lambda run: rotation.status(run, number, sid, status, now), group_id
        )
        _known(changed, number)
        return {"statusCode": 204}

    reply = conversation.Reply("nothing")

    def hear(run: Rotation) -> Rotation:
        nonlocal reply
        batch, telling = addresses.place(step)
        heard = conversation.Heard(number, sid, telling, said.get("Digits", ""), batch)
        run, reply = conversation.reply(run, heard, now)
        return run

    try:
        session = _known(store.change(token, now, hear, group_id), number)
    except (store.Contended, BotoCoreError, ClientError):
        # Who is on the line hears something, and the line comes again; a key is asked for anew.
        log.exception("the table does not answer", extra={"group": group_id, "attempt": number})
        return _xml(twiml.wait(words.moment(), again=address))
    log.info("on the line", extra={"group": group_id, "attempt": number, "answer": reply.kind})
    return _xml(_said(session, number, token, reply))


def _xml(body: str) -> Answer:
    headers = {"Content-Type": "application/xml; charset=utf-8"}
    return {"statusCode": 200, "headers": headers, "body": body}


def _known(changed: tuple[Session, Session] | None, number: int) -> Session:
    """Return the session that a webhook is about. Raises Refusal where it has expired."""
    if changed is None or changed[1].rotation.attempt(number) is None:
        raise Refusal(403, "Forbidden")
    return changed[1]


def _tokens() -> list[str]:
    """Return the auth tokens that may sign: the one, and the other while one replaces the other."""
    names = ("TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_SECONDARY")
    settings = parameters.remembered(parameters.path(None, None), names)
    tokens = [settings[names[0]]]
    with suppress(ParameterError):  # most of the time there is none
        tokens.append(settings[names[1]])
    return tokens


def _said(session: Session, number: int, token: str, reply: conversation.Reply) -> str:
    if reply.kind == "nothing":
        return twiml.goodbye()
    if reply.kind != "tell":
        return twiml.goodbye(words.farewell(session, number, reply.kind, reply.batch))
    here, further = (
        addresses.of(session.group_id, number, token, addresses.step(reply.batch, telling))
        for telling in (reply.telling, reply.telling + 1)
    )
    said = words.telling(session, number, reply.batch, unknown=reply.unknown)
    return twiml.ask(said, action=here, silence=further)
