"""Exports: put a job into the queue, look at one, withdraw its link; and check the queries.

`python scripts/exports.py ENV send|status|revoke|check`. What they are about comes from the
environment, as make's command line puts it there: QUERY, PARAMS, MAIL, LANGUAGE, GZIP, JOB.

`check`: each QUERY, or all, is begun on ENV's database by the function that runs it, and nothing is
written. Prints what it takes and gives, how it is read and why, and the first rows; ends non-zero
where something is wrong. On the laptop the function is deployed first, where a file has changed.
"""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import build
import checks
import environment
from command import CommandError, run
from invoke import invoke

sys.path.insert(0, str(build.FUNCTIONS))
from common.checks import source
from common.events import InvalidEvent, parse
from common.queries import InvalidQuery
from data_export import request
from data_export.check import Check
from data_export.request import ID, Request

FUNCTION = "data_export"
WAYS = {"keys": "by its key", "lines": "line by line", "plain": "the plain way"}


def send(env: str, message: Mapping[str, Any]) -> None:
    """Put a job into the queue, as an application does; README says what a message holds."""
    sqs = environment.client(env, "sqs")
    body = json.dumps(message, ensure_ascii=False)
    sqs.send_message(QueueUrl=environment.output(env, "data_export")["queue_url"], MessageBody=body)


def message(given: Mapping[str, str]) -> dict[str, Any]:
    """Make a message of what was given; a job's id is made where there is none.

    CommandError says what is missing or wrong.
    """
    query, mail = given.get("QUERY"), given.get("MAIL")
    if not query or not mail:
        raise CommandError("say which and to whom: make export QUERY=users MAIL=you@example.com")
    parameters = _parameters(given)
    job_id = given.get("JOB") or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    asked = {
        "job_id": job_id,
        "query": query,
        "parameters": parameters,
        "mail_to": mail,
        "language": given.get("LANGUAGE") or "ja",
        "gzip": given.get("GZIP") == "1",
    }
    try:
        # A message that the function cannot read is answered by nobody.
        parse(Request, asked)
    except InvalidEvent as error:
        raise CommandError(str(error)) from None
    return asked


def check(env: str, given: Mapping[str, str]) -> int:
    """Check the queries, or all there are, print what came, and say whether it was well."""
    names = (given.get("QUERY") or "").split()
    if given.get("PARAMS") and len(names) != 1:
        example = """make export-check QUERY=users PARAMS='{"since": "2026-01-01"}'"""
        raise CommandError(f"PARAMS are those of one query: {example}")
    parameters = {"parameters": _parameters(given)} if given.get("PARAMS") else {}
    wrong = checks.broken(names or request.names(), load)
    if parameters and not wrong:
        try:
            known = parse(Check, {"check": True, "queries": names} | parameters).parameters or {}
            request.values(load(names[0]).header.parameters, known)
        except InvalidEvent as error:
            raise CommandError(str(error)) from None
    for said in wrong.values():
        print(f"{said}\n")
    if rest := [name for name in names or request.names() if name not in wrong]:
        payload = {"check": True, "queries": rest} | parameters
        told = invoke(FUNCTION, json.dumps(payload), checks.shell(env, FUNCTION))["checks"]
        for checked in told:
            print(report(checked, source(request.FOLDER, checked["query"]), env))
        wrong |= {checked["query"]: "" for checked in told if checked["errors"]}
    return 1 if wrong else 0


def load(name: str) -> request.Query:
    """Read a query's file of this tree. Raises InvalidQuery that names it, and what is wrong."""
    known = request.names()
    if name not in known:
        raise InvalidQuery(f"there is no query {name!r} (there are {', '.join(known) or 'none'})")
    try:
        return request.load(name)
    except InvalidQuery as error:
        raise InvalidQuery(f"{name}.sql: {error}") from None


def report(checked: Mapping[str, Any], here: str, env: str) -> str:
    """Return what a check found as text for people; `here` is the `source` of this tree's file."""
    titles = checked.get("title", {}).values()
    kinds, values = checked.get("parameters", {}), checked.get("values", {})
    notes = checks.another_file(checked, here, env, FUNCTION)
    if kinds:
        takes = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        tried = json.dumps(values, ensure_ascii=False)
        notes.append(f"takes {takes}; tried with PARAMS='{tried}'")
    if way := checked.get("way"):
        why = f": {checked['why']}" if checked["why"] else ""
        notes.append(f"is read {WAYS[way]}{why}")
        if not checked["first"] and not checked["errors"]:
            notes.append("gave no row: whether an index leads by a key is known of one that does")
    return checks.report("  ".join([checked["query"], *titles]), notes, checked, "title")


def _parameters(given: Mapping[str, str]) -> Any:
    try:
        return json.loads(given.get("PARAMS") or "{}")
    except json.JSONDecodeError as error:
        raise CommandError(f"PARAMS is no JSON: {error}") from None


def status(env: str, job_id: str) -> str:
    """Tell where a job stands, line by line; not the link itself, which is a key to the file."""
    job = _job(env, job_id)
    until = int(job.get("link_until", {"N": "0"})["N"])
    end = f"works until {datetime.fromtimestamp(until, UTC).isoformat()}" if until else "none"
    if until and until <= datetime.now(UTC).timestamp():
        end = end.replace("works until", "ended at")
    if "revoked_at" in job:
        end = f"withdrawn at {job['revoked_at']['S']}"
    reason = {name: one["S"] for name, one in job.get("reason", {"M": {}})["M"].items()}
    mail = [job[name]["S"] for name in ("mail", "mail_reason") if name in job]
    lines = {
        "job": job_id,
        "query": job["request"]["M"]["query"]["S"],
        "state": job["state"]["S"],
        "reason": ": ".join(reason.values()),
        "began": job["created_at"]["S"],
        "ended": job.get("finished_at", {"S": ""})["S"],
        "rows": f"{int(job.get('rows', {'N': '0'})['N']):,}",
        "bytes": f"{int(job.get('bytes', {'N': '0'})['N']):,}",
        "mail": ": ".join(mail) or "not yet due",
        "link": end,
    }
    return "\n".join(f"{name:8}{text}" for name, text in lines.items() if text)


def revoke(env: str, job_id: str) -> None:
    """Withdraw a job's link: from now on it answers 410. CommandError where there is none."""
    if _job(env, job_id)["state"]["S"] != "done":
        raise CommandError(f"the job {job_id} has no link: see make export-status")
    environment.client(env, "dynamodb").update_item(
        TableName=environment.output(env, "data_export")["table"],
        Key={"job_id": {"S": job_id}},
        UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
        ConditionExpression="attribute_exists(job_id)",
        ExpressionAttributeValues={":now": {"S": datetime.now(UTC).isoformat(timespec="seconds")}},
    )


def _job(env: str, job_id: str) -> dict[str, Any]:
    if not ID.fullmatch(job_id):
        raise CommandError(f"JOB takes 1 to 64 characters A-Z a-z 0-9 _ -, not {job_id!r}")
    found = environment.client(env, "dynamodb").get_item(
        TableName=environment.output(env, "data_export")["table"],
        Key={"job_id": {"S": job_id}},
        ConsistentRead=True,
    )
    if "Item" not in found:
        raise CommandError(f"there is no job {job_id}, or nothing has taken it from the queue yet")
    job: dict[str, Any] = found["Item"]
    return job


def main(env: str, what: str) -> int:
    """Do it, and say what was done."""
    job_id = os.environ.get("JOB", "")
    of_env = "" if env == "local" else f" ENV={env}"
    if what == "send":
        asked = message(os.environ)
        send(env, asked)
        print(f"In the queue: job {asked['job_id']}, a mail goes to {asked['mail_to']}.")
        print(f"How it stands: make export-status JOB={asked['job_id']}{of_env}")
    elif what == "status":
        print(status(env, job_id))
    elif what == "check":
        return check(env, os.environ)
    else:
        revoke(env, job_id)
        print(f"The link of {job_id} is withdrawn.")
    return 0


if __name__ == "__main__":
    run(main)
