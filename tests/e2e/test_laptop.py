"""What a person does with the laptop's stack, by the documented commands."""

import base64
import json
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
import requests

import build
import lifecycle
from stack import ROOT, SECRET_PREFIX
from tests.e2e.conftest import PREFIX
from tests.support import until

FUNCTIONS = build.functions()
EVERY_MINUTE = ("cloudwatch_to_mackerel", "db_to_cloudwatch")
BY_HAND = {
    "environment": "local",
    "mackerel_service": "ore-no-service",
    "path_to_parameter": "/myApp",
}


def test_a_second_up_changes_nothing_and_says_so(laptop):
    done = laptop.make("up")
    assert done.returncode == 0, done.stderr
    assert "nothing changed" in done.stdout.splitlines()[-2]


def test_a_plan_after_a_deploy_says_no_changes(laptop):
    done = laptop.make("plan", "ARGS=-detailed-exitcode -no-color")
    assert done.returncode == 0, done.stdout
    assert "No changes." in done.stdout


def test_by_hand_as_the_readme_shows(laptop, signed_in):
    before = laptop.newest()
    done = laptop.shell(
        f"echo '{json.dumps(BY_HAND)}' | lambroll invoke "
        "--function lambroll/cloudwatch_to_mackerel.jsonnet --qualifier current"
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["posted"] > 0
    # A schedule may have posted meanwhile: each post holds one run's points.
    assert summary["posted"] in [len(item["body"]["points"]) for item in laptop.inbox(before)]


def test_sign_ins_arrive_as_cloudwatch_counts_them(laptop, signed_in):
    laptop.answer("cloudwatch_to_mackerel", mackerel_service="ore-no-service")
    (item,) = laptop.inbox()[-1:]
    points = {(point["name"], point["time"]): point["value"] for point in item["body"]["points"]}
    times = sorted({time for name, time in points if name == "cognito.sign_in.attempt"})
    assert times
    dimensions = zip(("UserPool", "UserPoolClient"), laptop.user_pool(), strict=True)
    answer = laptop.aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/Cognito",
        MetricName="SignInSuccesses",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=datetime.fromtimestamp(times[0], UTC),
        EndTime=datetime.fromtimestamp(times[-1] + 300, UTC),
        Period=300,
        Statistics=["Sum", "SampleCount"],
    )
    counted = {
        int(point["Timestamp"].timestamp()): (point["Sum"], point["SampleCount"])
        for point in answer["Datapoints"]
    }
    for time in times:
        successes, attempts = counted[time]
        assert points["cognito.sign_in.success", time] == successes
        assert points["cognito.sign_in.attempt", time] == attempts
        assert points["cognito.sign_in.failure", time] == attempts - successes


def test_users_are_counted_as_the_database_counts_them(laptop):
    summary = laptop.answer("db_to_cloudwatch")
    assert (summary["queries"], summary["metrics"]) == (2, 3)
    with laptop.stack.connect("reader") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM users")
        ((count,),) = cursor.fetchall()
    at = datetime.fromisoformat(summary["at"])
    answer = laptop.aws("cloudwatch").get_metric_statistics(
        Namespace="RDS/RECORDS",
        MetricName="USERS",
        Dimensions=[
            {"Name": "Environment", "Value": "local"},
            {"Name": "RDS", "Value": "RECORDS"},
        ],
        StartTime=at - timedelta(minutes=1),
        EndTime=at + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
        Unit="Count",
    )
    assert count > 1000
    assert {point["Maximum"] for point in answer["Datapoints"]} == {count}


def test_the_payload_may_name_some_queries(laptop):
    assert laptop.answer("db_to_cloudwatch", queries=["users"])["metrics"] == 1


@pytest.mark.parametrize(
    ("function", "event", "error"),
    [
        ("cloudwatch_to_mackerel", {}, "mackerel_service: missing"),
        (
            "db_to_cloudwatch",
            {"queries": ["nothing"]},
            "queries: got 'nothing', takes orders or users",
        ),
        (
            "cloudwatch_to_mackerel",
            BY_HAND | {"path_to_parameter": "/another"},
            "/local/another/AWS_COGNITO_IDENTITY_PROVIDERS cannot be read: .*AccessDenied",
        ),
        (
            "cloudwatch_to_mackerel",
            BY_HAND | {"environment": "production"},
            "/production/myApp/AWS_COGNITO_IDENTITY_PROVIDERS cannot be read: .*AccessDenied",
        ),
        (
            "cloudwatch_to_mackerel",
            BY_HAND
            | {
                "metrics": [
                    {
                        "name": "thief",
                        "namespace": "n",
                        "metric": "m",
                        "stat": "Sum",
                        "dimensions": {"d": {"parameter": "DATABASE_PASSWORD"}},
                    }
                ]
            },
            "1 of 1 failed: thief: .*/local/myApp/DATABASE_PASSWORD cannot be read: .*AccessDenied",
        ),
    ],
)
def test_a_function_that_fails_makes_invoke_fail_with_its_error(laptop, function, event, error):
    done = laptop.invoke(function, **event)
    assert done.returncode != 0
    assert re.search(error, done.stderr.splitlines()[-2]), done.stderr


def test_a_payload_that_is_no_json_and_a_function_that_is_none(laptop):
    done = laptop.make("invoke", "FUNCTION=db_to_cloudwatch", stdin="{")
    assert done.returncode != 0
    assert "the payload is not one JSON value" in done.stderr
    done = laptop.make("invoke", "FUNCTION=nothing", stdin="{}")
    assert done.returncode != 0
    assert "no function 'nothing': there are" in done.stderr


def test_a_role_puts_no_metric_into_anothers_namespace_and_touches_no_other_function(laptop):
    role = f"arn:aws:iam::000000000000:role/{PREFIX}cloudwatch_to_mackerel"
    simulate = laptop.aws("iam").simulate_principal_policy
    for action in ("cloudwatch:PutMetricData", "lambda:InvokeFunction", "ssm:PutParameter"):
        (result,) = simulate(PolicySourceArn=role, ActionNames=[action])["EvaluationResults"]
        assert result["EvalDecision"] != "allowed", action


def versions(laptop, function):
    client = laptop.aws("lambda")
    name = f"{PREFIX}{function}"
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    alias = client.get_alias(FunctionName=name, Name="current")["FunctionVersion"]
    return [version["Version"] for version in listed], alias


def test_a_redeploy_of_the_same_code_uploads_nothing(laptop):
    before = {function: versions(laptop, function) for function in FUNCTIONS}
    done = laptop.make("deploy")
    assert done.returncode == 0, done.stderr
    assert sorted(line.split(" (")[0] for line in done.stdout.splitlines()) == [
        f"{function}: unchanged" for function in FUNCTIONS
    ]
    assert {function: versions(laptop, function) for function in FUNCTIONS} == before


@pytest.fixture
def copy(tmp_path):
    """A copy of the project to change, beside the same tools and the same stack."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    for folder in (".venv", ".local"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    return tmp_path


def deploy(laptop, folder):
    return laptop.run(
        "env",
        "PYTHONPATH=local",
        "bash",
        "-c",
        f"cd {folder} && {sys.executable} scripts/deploy.py local",
    )


def test_one_bad_function_is_named_and_the_others_are_deployed_then_rolled_back(laptop, copy):
    broken = copy / "lambroll/db_to_cloudwatch.jsonnet"
    broken.write_text("{ FunctionName: 'x' ")
    handler = copy / "functions/cloudwatch_to_mackerel/handler.py"
    changed = handler.read_text().replace('"posted to Mackerel"', '"changed by a test"')
    assert changed != handler.read_text()
    handler.write_text(changed)
    _, before = versions(laptop, "cloudwatch_to_mackerel")

    done = deploy(laptop, copy)
    assert done.returncode == 1
    assert "cloudwatch_to_mackerel: deployed" in done.stdout
    assert "db_to_cloudwatch: FAILED" in done.stdout
    assert done.stderr.splitlines()[-1] == "deploy failed: db_to_cloudwatch"
    _, after = versions(laptop, "cloudwatch_to_mackerel")
    assert after != before
    assert "changed by a test" in called_by_the_schedule(laptop)

    done = laptop.make("rollback", "FUNCTION=cloudwatch_to_mackerel")
    assert done.returncode == 0, done.stderr
    assert versions(laptop, "cloudwatch_to_mackerel")[1] == before
    assert "posted to Mackerel" in called_by_the_schedule(laptop)
    done = laptop.make("plan", "ARGS=-detailed-exitcode -no-color")
    assert done.returncode == 0, done.stdout


def called_by_the_schedule(laptop):
    """Invoke just what the rule's target names, with its input, and return the log's tail."""
    events = laptop.aws("events")
    (rule,) = events.list_rules(NamePrefix=f"{PREFIX}cloudwatch_to_mackerel")["Rules"]
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    done = laptop.aws("lambda").invoke(
        FunctionName=target["Arn"], Payload=target["Input"], LogType="Tail"
    )
    assert "FunctionError" not in done, done["Payload"].read()
    return base64.b64decode(done["LogResult"]).decode()


def test_no_secret_is_in_state_plan_log_inbox_or_zip(laptop):
    known = laptop.stack.secrets()
    secrets = [known.mackerel_api_key, known.slack_bot_token, known.database_password]
    assert all(secret.startswith(SECRET_PREFIX) for secret in secrets)
    places = {}
    s3 = laptop.aws("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            body = s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
            places[f"state {item['Key']}"] = body.decode(errors="replace")
    assert len(places) >= 2
    plan = laptop.shell(
        "terraform -chdir=terraform plan -no-color -input=false "
        "-var-file=environments/local.tfvars -out=$TMPDIR/secrets.tfplan >/dev/null; "
        "terraform -chdir=terraform show -json $TMPDIR/secrets.tfplan; rm $TMPDIR/secrets.tfplan"
    )
    assert plan.returncode == 0, plan.stderr
    places["plan"] = plan.stdout
    logs = laptop.aws("logs")
    for function in FUNCTIONS:
        group = f"/aws/lambda/{PREFIX}{function}"
        events = logs.filter_log_events(logGroupName=group)["events"]
        places[f"log {function}"] = "\n".join(event["message"] for event in events)
        location = laptop.aws("lambda").get_function(FunctionName=f"{PREFIX}{function}")
        places[f"configuration {function}"] = json.dumps(location, default=str)
        zipped = requests.get(location["Code"]["Location"], timeout=10)
        with zipfile.ZipFile(BytesIO(zipped.content)) as archive:
            members = [archive.read(name) for name in archive.namelist()]
        places[f"zip {function}"] = b"\n".join(members).decode(errors="replace")
    places["inbox"] = requests.get(laptop.stack.inbox_url, timeout=10).text
    for file in (laptop.stack.folder / "logs").iterdir():
        places[f"log file {file.name}"] = file.read_text(errors="replace")
    assert all(text for place, text in places.items() if not place.startswith("log"))
    for place, text in places.items():
        for secret in secrets:
            assert secret not in text, place


def test_a_secret_is_filled_from_standard_input(laptop):
    ssm = laptop.aws("ssm")
    name = "/local/myApp/MACKEREL_API_KEY"

    def value():
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]

    before = value()
    try:
        done = laptop.make("secret", "NAME=MACKEREL_API_KEY", stdin="rotated\n")
        assert (done.returncode, value()) == (0, "rotated")
        assert "rotated" not in done.stdout + done.stderr
        for arguments, stdin, error in (
            (["NAME=MACKEREL_API_KEY"], "\n", "standard input was empty"),
            (["NAME=NOTHING"], "x", "/local/myApp/NOTHING does not exist"),
            (["NAME=DATABASE_HOST"], "x", "is no secret"),
            ([], "x", "say which"),
        ):
            done = laptop.make("secret", *arguments, stdin=stdin)
            assert done.returncode != 0
            assert error in done.stderr
        assert value() == "rotated"
    finally:
        laptop.make("secret", "NAME=MACKEREL_API_KEY", stdin=before)


@pytest.mark.parametrize("target", ["apply", "deploy", "invoke", "rollback", "secret"])
def test_production_wants_to_be_confirmed(laptop, target):
    done = laptop.make(target, "ENV=production", "FUNCTION=db_to_cloudwatch", "NAME=X")
    assert done.returncode != 0
    assert "add CONFIRM=production" in done.stderr


def test_logs_and_status_are_for_people(laptop):
    laptop.answer("db_to_cloudwatch")
    done = laptop.make("logs", "FUNCTION=db_to_cloudwatch")
    assert re.search(r"db_to_cloudwatch: INFO put to CloudWatch queries=2 metrics=3", done.stdout)
    done = laptop.make("status")
    assert done.stdout.count("RUNNING") == 4


def test_another_stack_lives_beside_this_one(laptop, new_stack):
    other = new_stack()
    lifecycle.start(other, lambda _: None)
    assert other.port != laptop.stack.port
    assert laptop.make("status").stdout.count("RUNNING") == 4
    lifecycle.stop(other, lambda _: None)
    assert laptop.answer("db_to_cloudwatch")["metrics"] == 3


def test_a_client_on_the_database_and_the_estate_as_a_table(laptop):
    done = laptop.make("mysql", stdin="SELECT CURRENT_USER(), COUNT(*) > 0 FROM users")
    assert done.stdout.splitlines()[1:] == ["mimamori_reader@%\t1"], done.stderr
    done = laptop.make("estate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("office-hours, tag office-hours: ")
    assert re.search(r"(?m)^  ecs_services +myapp/api +(on|off|between) ", done.stdout)


def test_an_export_is_tried_before_anybody_asks_for_it(laptop):
    done = laptop.make("export-check", "QUERY=users", 'PARAMS={"since": "2026-01-01"}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^users  .*Users$", done.stdout, re.MULTILINE)
    assert "  is read by its key\n" in done.stdout
    assert re.search(r"^  created_at +登録日時 \(UTC\) +DATETIME$", done.stdout, re.MULTILINE)
    wrong = laptop.make("export-check", "QUERY=nothing")
    assert wrong.returncode != 0
    assert "there is no query 'nothing' (there are orders, users)" in wrong.stdout + wrong.stderr


def test_a_function_that_cannot_be_imported_is_not_deployed(laptop, copy):
    handler = copy / "functions/db_to_cloudwatch/handler.py"
    handler.write_text("def broken(:\n")
    before = versions(laptop, "db_to_cloudwatch")
    done = deploy(laptop, copy)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "db_to_cloudwatch cannot be imported: db_to_cloudwatch/handler.py:1:"
        " SyntaxError: invalid syntax\nnothing was deployed\n"
    )
    assert versions(laptop, "db_to_cloudwatch") == before


def test_the_schedules_fire_by_themselves(laptop):
    """Two posts a minute apart that nobody asked for, and the database's numbers likewise.

    Last in this file: they were made while the other tests ran.
    """

    def ran(function):
        group = f"/aws/lambda/{PREFIX}{function}"
        events = laptop.aws("logs").filter_log_events(logGroupName=group)["events"]
        times = [e["timestamp"] / 1000 for e in events if e["message"].startswith("START")]
        return any(abs(b - a - 60) < 1 for a in times for b in times)

    for function in EVERY_MINUTE:
        until(lambda function=function: ran(function), 150)
