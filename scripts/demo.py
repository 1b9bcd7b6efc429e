"""Show all of it on this machine, and report what ran and what arrived where."""

import csv
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import requests

import checks
import environment
import exports
import kpi
import lifecycle
import logs
import phone_api
import seed
import up
from command import CommandError, run
from invoke import invoke
from kpi_to_bigquery import kpis
from stack import Stack
from steps import step
from supervision import PHONES

Answer = tuple[str, str, Any]
# local.tfvars has the schedules fire every minute.
EVERY = timedelta(minutes=1)
SCHEDULED = "mimamori-local-cloudwatch_to_mackerel"


class DemoError(CommandError):
    """Something that the demo promises did not come about."""


def inbox(stack: Stack, channel: str = "mackerel") -> list[dict[str, Any]]:
    """Return what a channel got, oldest first, each with `at`, the time it came."""
    answer = requests.get(stack.inbox_url, params={"channel": channel}, timeout=10)
    answer.raise_for_status()
    return [item | {"at": datetime.fromisoformat(item["received_at"])} for item in answer.json()]


def newest(stack: Stack) -> int:
    """Return the id of the newest item in Mackerel's inbox; 0 where there is none."""
    return max((item["id"] for item in inbox(stack)), default=0)


def posted_by_itself(stack: Stack, ours: range) -> datetime | None:
    """Return when the schedule last posted: when it was started, and not by our own call.

    `ours` are the ids of what our calls posted.
    """
    started = lifecycle.started_by_schedules(stack).get(SCHEDULED, datetime.min.replace(tzinfo=UTC))
    if started < datetime.now(UTC) - 2 * EVERY:
        return None
    return next(
        (
            item["at"]
            for item in inbox(stack)
            if item["id"] not in ours and abs(item["at"] - started) < EVERY / 2
        ),
        None,
    )


def wait_for_schedule(stack: Stack, ours: range) -> datetime:
    """Wait until the schedule has posted; on a stack that has been up for a minute it has."""
    deadline = time.monotonic() + 2 * EVERY.total_seconds()
    with step("A schedule fires by itself (every minute)") as words:
        while time.monotonic() < deadline:
            if posted := posted_by_itself(stack, ours):
                words.append(f"at {posted.astimezone():%H:%M:%S}")
                return posted
            time.sleep(1)
        raise DemoError("no schedule fired within two minutes: see make logs")


def last_values(stack: Stack) -> dict[str, float]:
    """Return the latest value of each service metric that Mackerel has."""
    found: dict[str, tuple[int, float]] = {}
    for item in inbox(stack):
        for point in item["body"]["points"]:
            found[point["name"]] = max(
                found.get(point["name"], (0, 0)), (point["time"], point["value"])
            )
    return {name: value for name, (_, value) in sorted(found.items())}


def call(function: str, event: str, shell: dict[str, str]) -> Answer:
    """Invoke a function with one of its event files."""
    payload = (environment.ROOT / f"functions/{function}/events/{event}.json").read_text()
    with step(f"lambroll invoke {function} < {event}.json"):
        return function, event, invoke(function, payload, shell)


def phone(group: str, message: str, *variables: str) -> dict[str, Any]:
    """Have a group phoned, as a monitoring system would; returns what the API told."""
    answer = requests.post(
        f"{phone_api.url('local')}/phonecall/{group}",
        json={"messageId": message, "variableMessage": variables},
        headers={"x-api-key": phone_api.key("local", "zabbix")},
        timeout=30,
    )
    if answer.status_code != requests.codes.accepted:
        raise DemoError(f"the phone call was refused: {answer.status_code} {answer.text}")
    told: dict[str, Any] = answer.json()
    return told


def where_it_stands(told: dict[str, Any], patience: float = 20) -> dict[str, Any]:
    """Wait until an escalation is over, and return where it stands."""
    headers = {"x-api-key": phone_api.key("local", "zabbix")}
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        standing: dict[str, Any] = requests.get(
            told["status_url"], headers=headers, timeout=10
        ).json()
        if standing["state"] != "calling":
            return standing
        time.sleep(0.2)
    raise DemoError("nobody acknowledged in time: see make logs")


def a_night(stack: Stack) -> dict[str, Any]:
    """Play a night: the first on duty does not answer, the second does and presses 1."""
    aoi, ren = list(PHONES)[:2]
    script = {aoi: [{"ring": "no-answer"}], ren: [{"answer": ["1"]}]}
    for number, steps in script.items():
        requests.post(
            f"{stack.sandbox_url}/twilio/script", json={"number": number, "do": steps}, timeout=10
        ).raise_for_status()
    try:
        return where_it_stands(phone("database", "disk_full", "db-1", "95"))
    finally:
        requests.delete(f"{stack.sandbox_url}/twilio/script", timeout=10)


def exported(stack: Stack) -> tuple[str, str, list[str]]:
    """Ask for an export as an application does, and follow its mail's link.

    Returns the mail's subject, the link, and the lines of the file.
    """
    asked = exports.message(
        {"QUERY": "users", "PARAMS": '{"since": "2026-01-01"}', "MAIL": "tanaka@example.com"}
    )
    exports.send("local", asked)
    link = re.compile(rf"https?://\S+/exports/{asked['job_id']}/\S+")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for item in reversed(inbox(stack, "mail")):
            if found := link.search(item["body"]["text"]):
                file = requests.get(found[0], timeout=30)
                file.raise_for_status()
                lines = file.content.decode("utf-8-sig").splitlines()
                return item["body"]["subject"], found[0], lines
        time.sleep(0.2)
    raise DemoError(f"no mail came: see make export-status JOB={asked['job_id']}")


def filled(stack: Stack, shell: dict[str, str], last: date) -> None:
    """Have the KPIs of thirty days in BigQuery; `last` is the last of them."""
    ours = max((item["id"] for item in inbox(stack, "bigquery")), default=0)
    span = {"from": str(last - timedelta(days=29)), "to": str(last)}
    files = invoke(kpi.FUNCTION, json.dumps(span), shell)["files"]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        fresh = [item["body"] for item in inbox(stack, "bigquery") if item["id"] > ours]
        if sum(one["table"] == "kpi_loads" for one in fresh) >= files:
            return
        time.sleep(0.5)
    raise DemoError(f"not all KPIs are in BigQuery: see make kpi-status DAY={last}")


def last_rows(name: str, last: date) -> list[str]:
    """Return the last rows of a KPI, as its files have them, as lines for people."""
    s3 = environment.client("local", "s3")
    bucket = environment.outputs("local")["kpi_to_bigquery"]["bucket"]
    rows: list[list[str]] = []
    for day in (last - timedelta(days=1), last):
        key = f"kpi/{name}/dt={day}/{name}.csv"
        found = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        head, *lines = csv.reader(io.StringIO(found, newline=""))
        rows += lines
    return checks.table([head, *rows[-4:]])


def led_through(action: str) -> None:
    """Run the state machine that puts the estate to sleep, or wakes it."""
    stepfunctions = environment.client("local", "stepfunctions")
    run = stepfunctions.start_execution(
        stateMachineArn=environment.outputs("local")["env_scheduler"]["state_machine_arn"],
        input=json.dumps({"action": action, "language": "en", "channel": "C0123456789"}),
    )["executionArn"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = stepfunctions.describe_execution(executionArn=run)
        if found["status"] == "SUCCEEDED":
            return
        if found["status"] != "RUNNING":
            raise DemoError(f"{action} of the estate: {found['status']} {found.get('cause', '')}")
        time.sleep(0.2)
    raise DemoError(f"{action} of the estate is not over after a minute: see make logs")


def report_of_the_night(night: dict[str, Any]) -> None:
    """Print who was phoned, and who took it."""
    print("\nWho was phoned")
    for one in night["attempts"]:
        print(f"  {one['attempt']}. {one['name']:12} {one['outcome']}")
    print(f"  {night['state']} by {night['acknowledged_by']}: {night['text']}")


def report_of_the_export(subject: str, link: str, lines: list[str]) -> None:
    """Print the mail, and how the file behind its link begins."""
    print(f"\nWhat was mailed\n  {subject}\n  {link}")
    for line in lines[:4]:
        print(f"  {line}")
    print(f"  and {len(lines) - 4:,} lines more")


def report_of_the_kpis(stack: Stack, shell: dict[str, str], last: date) -> None:
    """Print where the KPIs of the last day stand, their last rows, and the page."""
    asked = json.dumps({"status": True, "day": str(last)})
    print(f"\nWhat is in BigQuery: thirty days, the last is {last}")
    zone = logs.zone_of(environment.output("local", "functions"))
    print("\n".join(kpi.standings(invoke(kpi.LOADER, asked, shell)["status"], zone)))
    for name in kpis.names():
        print(f"\n  The last rows of {name}", *last_rows(name, last), sep="\n")
    print(f"\n  Each over its days: {stack.sandbox_url}/bigquery")


def report(stack: Stack, answers: list[Answer], fired: datetime) -> None:
    """Print what happened, for a person."""
    print("\nWhat ran")
    for function, event, answer in answers:
        counts = {key: n for key, n in answer.items() if isinstance(n, int)}
        said = ", ".join(f"{key} {n}" for key, n in counts.items())
        print(f"  {function:24} {event + '.json':14} {said}")
    print(f"  the schedules, by themselves            last at {fired.astimezone():%H:%M:%S}")
    print("\nWhat arrived in Mackerel (latest values)")
    for name, value in last_values(stack).items():
        print(f"  {name:32} {value:>12,.10g}")
    print("\nWhat arrived in Slack (the last four messages)")
    for item in inbox(stack, "slack")[-4:]:
        for line in item["body"]["text"].splitlines():
            print(f"  {line}")
        pictures = len(item["body"]["files"])
        print(f"  with {pictures} picture(s)\n" if pictures else "")


def what_next(stack: Stack) -> None:
    """Print where to look, and what to try."""
    print(f"\nA phone is ringing now at {stack.sandbox_url}: answer it and press 1.")
    print(
        f"See it all:   {stack.sandbox_url}\n"
        'Try next:     eval "$(make -s env)"; lambroll invoke --qualifier current'
        " --function lambroll/cloudwatch_to_mackerel.jsonnet"
        " < functions/cloudwatch_to_mackerel/events/cognito.json\n"
        "              make logs · make status · make plan · make down"
    )


def play(stack: Stack) -> None:
    """Have every function do its work, then report. The wait for a schedule runs beside it all."""
    shell = environment.shell("local")
    with step("Sign-ins of the last hours and users of the last days, in CloudWatch") as words:
        pool = environment.outputs("local", environment.ESTATE_KEY)["cognito"]
        now = datetime.now(UTC)
        put = seed.put_cognito(stack, now=now, **pool)
        put += seed.put_users(stack, now)
        words.append(f"{put:,} data")
    before = newest(stack)
    answers = [
        call("db_to_cloudwatch", "all", shell),
        call("cloudwatch_to_mackerel", "cognito", shell),
    ]
    # Until the schedule has posted, no other step may post to Mackerel.
    ours = range(before + 1, newest(stack) + 1)
    yesterday = datetime.now(seed.TOKYO).date() - timedelta(days=1)
    with ThreadPoolExecutor(1) as beside:
        by_itself = beside.submit(wait_for_schedule, stack, ours)
        answers += [
            call("cloudwatch_to_slack", "users", shell),
            call("cloudwatch_to_slack", "graphs", shell),
        ]
        with step("POST /phonecall/database: a night on duty"):
            night = a_night(stack)
        with step("An export of the users: from the queue to the mail, and to the file"):
            mailed = exported(stack)
        with step("KPIs of thirty days: from the database to S3, and to BigQuery"):
            filled(stack, shell, yesterday)
        for action in ("suspend", "start"):
            with step(f"Step Functions: {action} the estate"):
                led_through(action)
        fired = by_itself.result()
    # By now the minute is over in which the first call put the database's numbers.
    answers.append(call("cloudwatch_to_mackerel", "metrics", shell))
    report(stack, answers, fired)
    report_of_the_night(night)
    report_of_the_export(*mailed)
    report_of_the_kpis(stack, shell, yesterday)
    phone("web", "host_down", "web-1")
    what_next(stack)


def main() -> None:
    """Run the demo."""
    stack = Stack.current()
    began = time.monotonic()
    up.up(stack)
    play(stack)
    print(f"Done in {time.monotonic() - began:.0f} s; the stack stays up.")


if __name__ == "__main__":
    run(main)
