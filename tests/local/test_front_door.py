"""Each target of the Makefile, tried without, with wrong and with half an argument.

make itself says what it would run (`make -n`); scripts then run in this process: that is quicker.
"""

import functools
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.loaders import JSONFileLoader

import environment
import logs
import mysql
import seed
from command import CommandError
from db_to_cloudwatch import queries
from stack import ROOT, Stack
from tests.support import free_port, served_ministack

# What each target that has an environment needs to get as far as that environment.
WHOLE = {
    "env": [],
    "plan": [],
    "apply": [],
    "deploy": [],
    "diff": [],
    "invoke": ["FUNCTION=db_to_cloudwatch"],
    "rollback": ["FUNCTION=db_to_cloudwatch"],
    "logs": [],
    "secret": ["NAME=MACKEREL_API_KEY"],
    "mysql": [],
    "estate": [],
    "estate-sleep": [],
    "estate-wake": [],
    "phone-key": ["CALLER=zabbix"],
    "phone-url": [],
    "export": ["QUERY=users", "MAIL=tanaka@example.com"],
    "export-status": ["JOB=a-1"],
    "export-revoke": ["JOB=a-1"],
    "export-check": ["QUERY=users"],
    "kpi-check": ["NAME=sales"],
    "kpi-status": ["DAY=2026-11-22"],
    "kpi-backfill": ["FROM=2026-11-01", "TO=2026-11-22"],
}
TOKYO = timezone(timedelta(hours=9))
FUNCTION = "of-the-front-door"
LOG_GROUP = f"/aws/lambda/{FUNCTION}"
# These print what the person may go on with, and need no account yet.
OFFLINE = {"env"}
WRONG = [
    ("build", ["FUNCTION=nothing"], "no function 'nothing': there are cloudwatch_to_mackerel, "),
    ("deploy", ["FUNCTION=nothing"], "no function 'nothing': there are "),
    ("deploy", ["FUNCTION=db_to_cloudwatch nothing"], "no function 'nothing': there are "),
    ("diff", ["FUNCTION=nothing"], "no function 'nothing': there are "),
    ("logs", ["FUNCTION=nothing"], "no function 'nothing': there are "),
    ("logs", ["MINUTES=ten"], "MINUTES takes a number above 0, not 'ten'"),
    ("logs", ["MINUTES="], "MINUTES takes a number above 0, not ''"),
    ("logs", ["MINUTES=nan"], "MINUTES takes a number above 0, not 'nan'"),
    ("logs", ["MINUTES=-5"], "MINUTES takes a number above 0, not '-5'"),
    ("invoke", [], "say which: make invoke FUNCTION="),
    ("invoke", ["FUNCTION=a b"], "say which one: make invoke FUNCTION="),
    ("invoke", ["FUNCTION=nothing"], "no function 'nothing': there are "),
    ("invoke", ["FUNCTION=db_to_cloudwatch", "EVENT=no.json"], "no file 'no.json': EVENT takes "),
    ("invoke", ["FUNCTION=db_to_cloudwatch", "EVENT=docs"], "docs: Is a directory"),
    ("invoke", ["FUNCTION=db_to_cloudwatch", "EVENT=docs/inbox.png"], "docs/inbox.png is not UTF"),
    ("rollback", [], "say which: make rollback FUNCTION="),
    ("rollback", ["FUNCTION=a b"], "say which one: make rollback FUNCTION="),
    ("rollback", ["FUNCTION=nothing"], "no function 'nothing': there are "),
    ("secret", [], "say which: make secret "),
    ("secret", ["NAME=A B"], "say which one: make secret "),
    ("export", [], "say which and to whom: make export "),
    ("export", ["QUERY=users"], "say which and to whom: make export "),
    ("export", ["QUERY=users", "MAIL=tanaka"], "mail_to: "),
    ("export", ["QUERY=users", "MAIL=a@example.com", "PARAMS={"], "PARAMS is no JSON: "),
    ("export", ["QUERY=users", "MAIL=a@example.com", "PARAMS=[]"], "parameters: "),
    ("export", ["QUERY=users", "MAIL=a@example.com", "LANGUAGE=fr"], "language: "),
    ("export-status", [], "JOB takes 1 to 64 characters"),
    ("export-status", ["JOB=a b"], "JOB takes 1 to 64 characters"),
    ("export-revoke", [], "JOB takes 1 to 64 characters"),
    ("export-check", ["PARAMS={}"], "PARAMS are those of one query: make export-check QUERY="),
    ("export-check", ["QUERY=users orders", "PARAMS={}"], "PARAMS are those of one query: "),
    ("export-check", ["QUERY=users", "PARAMS={"], "PARAMS is no JSON: "),
    ("export-check", ["QUERY=users", "PARAMS=[]"], "parameters: got [], takes an object"),
    ("export-check", ["QUERY=users", "PARAMS={}"], "parameters: expected since (date); since: mi"),
    ("kpi-status", [], "say of when: make kpi-status "),
    ("kpi-backfill", [], "say of when: make kpi-backfill "),
    ("kpi-backfill", ["FROM=2026-11-01"], "say of when: make kpi-backfill "),
]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module", autouse=True)
def models():
    """Botocore reads its models from the disk once, not once a command."""
    read = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        yield


@pytest.fixture(scope="module")
def ministack(tmp_path_factory):
    """An AWS with nothing in it: no other test has made a bucket there."""
    with served_ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture
def make(monkeypatch, capfd, tmp_path):
    """Return a function that does what `make` would do for a target, but for the installing."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MAKE", "MFLAGS"))]:
        monkeypatch.delenv(name)
    # Nobody is signed in here; and where Terraform is run all the same, that is told.
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("MIMAMORI_PORT", str(free_port()))
    monkeypatch.setenv("PYTHONPATH", "local")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.chdir(ROOT)
    terraform = tmp_path / "bin/terraform"
    terraform.parent.mkdir()
    terraform.write_text("#!/bin/sh\necho terraform runs\n")
    terraform.chmod(0o755)
    monkeypatch.setenv("PATH", f"{terraform.parent}{os.pathsep}{os.environ['PATH']}")

    def call(target, *arguments):
        for argument in arguments:
            monkeypatch.setenv(*argument.split("=", 1))
        told = subprocess.run(
            ["make", "-n", target, *arguments], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        lines = [line for line in told.stdout.replace("\\\n", " ").splitlines() if line.strip()]
        code = 0
        for line in lines:
            if code or "scripts/install" in line:
                continue
            words = shlex.split(line)
            if words[0] == ".venv/bin/python":
                code = in_this_process(words[1:])
            else:
                code = subprocess.run(["bash", "-c", line], check=False).returncode
        out, err = capfd.readouterr()
        return Done(code, out, err)

    def in_this_process(words):
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(words[0], run_name="__main__")
        if isinstance(ended.value.code, str):
            sys.stderr.write(f"{ended.value.code}\n")
            return 1
        return ended.value.code or 0

    return call


@pytest.fixture
def aws(ministack, monkeypatch, make):
    """An AWS of a laptop's own, in which nothing is applied yet."""
    stack = Stack(port=int(ministack.rpartition(":")[2]))
    monkeypatch.setenv("MIMAMORI_PORT", str(stack.port))
    s3 = seed.client(stack, "s3")
    yield s3
    for bucket in s3.list_buckets()["Buckets"]:
        for key in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            s3.delete_object(Bucket=bucket["Name"], Key=key["Key"])
        s3.delete_bucket(Bucket=bucket["Name"])


@pytest.fixture
def one_function(aws):
    """A state that has one function, and none of the capabilities."""
    bucket = "mimamori-local-tfstate"
    where = {"LocationConstraint": "ap-northeast-1"}
    aws.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    environment = {"PARAMETER_PATH": "/local/myApp"}
    about = {"name": FUNCTION, "environment": environment, "log_group": LOG_GROUP}
    functions = {"db_to_cloudwatch": about}
    outputs = {"functions": functions, "db_to_cloudwatch": {"namespaces": ["RDS/RECORDS"]}}
    state = {"outputs": {name: {"value": value} for name, value in outputs.items()}}
    aws.put_object(Bucket=bucket, Key="terraform.tfstate", Body=json.dumps(state).encode())


@pytest.fixture
def logged(one_function):
    """Return a function that puts lines into the function's log, and returns when that was."""
    client = seed.client(Stack.current(), "logs")
    client.create_log_group(logGroupName=LOG_GROUP)
    client.create_log_stream(logGroupName=LOG_GROUP, logStreamName="one")

    def put(*messages):
        at = datetime.now(UTC)
        milliseconds = int(at.timestamp() * 1000)
        events = [{"timestamp": milliseconds, "message": message} for message in messages]
        client.put_log_events(logGroupName=LOG_GROUP, logStreamName="one", logEvents=events)
        return at

    yield put
    client.delete_log_group(logGroupName=LOG_GROUP)


def refused(done, beginning):
    """Whether a command ended non-zero with one sentence that begins so, and did nothing else."""
    assert done.err.startswith(beginning), done.err
    assert done.err.count("\n") == 1, done.err
    assert (done.code, done.out) == (1, "")


def test_every_target_that_has_an_environment_is_tried():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    section = text.split("##@ An environment")[1].split("##@")[0]
    assert set(re.findall(r"(?m)^([a-z-]+):.*## ", section)) - {"build"} == set(WHOLE)


@pytest.mark.parametrize("target", WHOLE)
def test_an_unknown_environment(make, target):
    said = "no environment 'foo': there are local, production, staging"
    refused(make(target, *WHOLE[target], "ENV=foo"), said)


@pytest.mark.parametrize("target", ["env", "plan", "deploy", "invoke", "logs"])
def test_an_environment_without_a_name(make, target):
    refused(make(target, *WHOLE[target], "ENV="), "no environment '': there are local")


BACKEND = 'bucket = "b"\nkey = "k"\nregion = "ap-northeast-1"\n'


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"half.s3.tfbackend": BACKEND}, "half has no settings: write terraform/environments/half"),
        ({"half.tfvars": ""}, "no environment 'half': there are local"),
        (
            {"half.tfvars": "", "half.s3.tfbackend": 'bucket = "b"\nkey = ""\n'},
            "terraform/environments/half.s3.tfbackend does not say key, region",
        ),
        (
            {"half.tfvars": "", "half.s3.tfbackend": "bucket b"},
            'terraform/environments/half.s3.tfbackend takes lines of name = "value": ',
        ),
    ],
)
def test_half_an_environment(make, monkeypatch, tmp_path, files, said):
    for name, text in ({"local.s3.tfbackend": BACKEND} | files).items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    refused(make("logs", "ENV=half"), said)


@pytest.mark.parametrize("target", WHOLE)
def test_no_stack(make, target):
    url = f"http://127.0.0.1:{os.environ['MIMAMORI_PORT']}"
    refused(make(target, *WHOLE[target]), f"nothing runs at {url}: make up")


@pytest.mark.parametrize("target", [target for target in WHOLE if target not in OFFLINE])
def test_no_credentials(make, target):
    refused(make(target, *WHOLE[target], "ENV=staging"), "no AWS credentials: sign in ")


@pytest.mark.parametrize("target", ["plan", "deploy", "secret"])
def test_credentials_that_are_over(make, ministack, monkeypatch, target):
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobodys")
    done = make(target, *WHOLE[target], "ENV=staging")
    refused(done, "AWS refused ")
    assert ": sign in to the account" in done.err


@pytest.mark.parametrize("target", ["plan", "apply"])
def test_no_bucket_for_the_state(make, ministack, monkeypatch, target):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    refused(make(target, "ENV=staging"), "no bucket 'example-")


def test_a_profile_that_is_not_there(make, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    done = make("plan", "ENV=staging")
    refused(done, "The config profile (nobodys) could not be found: sign in ")


@pytest.mark.parametrize(
    "target",
    [
        *("apply", "deploy", "invoke", "rollback", "secret", "export", "export-revoke"),
        *("kpi-backfill", "estate-sleep", "estate-wake"),
    ],
)
def test_production_is_changed_on_purpose_only(make, target):
    done = make(target, *WHOLE[target], "ENV=production")
    refused(done, "this changes production: add CONFIRM=production")


@pytest.mark.parametrize(("target", "arguments", "said"), WRONG)
def test_a_wrong_argument(make, target, arguments, said):
    refused(make(target, *arguments), said)


@pytest.mark.parametrize(
    ("target", "argument", "kind"),
    [("kpi-check", "NAME", "KPI"), ("export-check", "QUERY", "query")],
)
def test_a_query_that_is_not_there(make, target, argument, kind):
    done = make(target, f"{argument}=nothing")
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith(f"there is no {kind} 'nothing' (there are ")


def test_a_number_that_is_no_port(make, monkeypatch):
    monkeypatch.setenv("MIMAMORI_PORT", "many")
    for target in ("up", "demo", "down", "status", "plan", "logs"):
        refused(make(target), "MIMAMORI_PORT takes a number from 1024 to 65532, not 'many'")


@pytest.mark.parametrize("target", [target for target in WHOLE if target not in OFFLINE])
def test_nothing_is_applied(make, aws, target):
    done = make(target, *WHOLE[target])
    said = "the laptop's stack is not finished" if target in ("plan", "apply") else "nothing is app"
    refused(done, said)
    assert done.err.endswith(": make up\n")


@pytest.mark.parametrize("target", ["deploy", "diff", "invoke", "rollback", "logs"])
def test_a_function_that_is_not_applied(make, one_function, target):
    done = make(target, "FUNCTION=kpi_to_s3")
    refused(done, "not applied in local yet: kpi_to_s3 (make up)")


@pytest.mark.parametrize(
    ("target", "missing"),
    [
        ("estate", "env_scheduler"),
        ("estate-sleep", "env_scheduler is "),
        ("phone-url", "phone_escalation is "),
        ("phone-key", "phone_escalation is "),
        ("export", "data_export is "),
        ("export-status", "data_export is "),
        ("export-check", "data_export"),
        ("kpi-check", "kpi_to_s3"),
        ("kpi-status", "s3_to_bigquery"),
    ],
)
def test_a_capability_that_is_not_applied(make, one_function, target, missing):
    done = make(target, *WHOLE[target])
    assert missing in done.err
    refused(done, missing if missing.endswith("is ") else "not applied in local yet: ")


@pytest.fixture
def released(one_function):
    """Return a function that makes the function, its alias on a version of it."""
    client, iam = (seed.client(Stack.current(), name) for name in ("lambda", "iam"))
    role = iam.create_role(RoleName=FUNCTION, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as content:
        content.writestr("placeholder.py", "")
    client.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.13",
        Role=role,
        Handler="placeholder.handler",
        Code={"ZipFile": zipped.getvalue()},
    )

    def release(version):
        if version != "$LATEST":
            assert client.publish_version(FunctionName=FUNCTION)["Version"] == version
        client.create_alias(FunctionName=FUNCTION, Name="current", FunctionVersion=version)

    yield release
    client.delete_function(FunctionName=FUNCTION)
    iam.delete_role(RoleName=FUNCTION)


@pytest.mark.parametrize("version", ["$LATEST", "1"])
def test_a_rollback_before_there_are_two_versions(make, released, version):
    released(version)
    done = make("rollback", *WHOLE["rollback"])
    refused(done, "there is no earlier version of db_to_cloudwatch in local yet")


@pytest.mark.parametrize("arguments", [[], ["FUNCTION=db_to_cloudwatch"]])
def test_a_query_whose_namespace_is_not_applied(make, one_function, arguments):
    done = make("deploy", *arguments)
    assert done.err.splitlines()[-1] == (
        "the role of db_to_cloudwatch in local may not put metrics into RDS/ORDERS (orders.sql) yet"
        ": run make apply first"
    )
    assert (done.code, done.out) == (1, "")


def test_a_query_that_cannot_be_read(make, one_function, monkeypatch, tmp_path):
    (tmp_path / "orders.sql").write_text("/* namespace = 7 */ SELECT 1 AS N")
    read = functools.partial(queries.load, folder=tmp_path)
    monkeypatch.setattr(queries, "names", lambda: ["orders"])
    monkeypatch.setattr(queries, "load", read)
    refused(
        make("deploy", "FUNCTION=db_to_cloudwatch"),
        "functions/db_to_cloudwatch/queries/orders.sql: header: namespace: ",
    )


@pytest.fixture
def database_parameters(one_function):
    ssm = seed.client(Stack.current(), "ssm")
    known = {"HOST": "db.internal", "PORT": "3306", "NAME": "service", "USER": "reader"}
    names = [f"/local/myApp/DATABASE_{name}" for name in known]
    for name, value in zip(names, known.values(), strict=True):
        ssm.put_parameter(Name=name, Value=value, Type="String")
    yield
    ssm.delete_parameters(Names=names)


def test_the_tunnel_to_a_database_on_aws(make, database_parameters):
    told = mysql.tunnel("local")
    assert "--parameters host=db.internal,portNumber=3306,localPortNumber=13306" in told
    assert "--port=13306 --user=reader --password --ssl-mode=REQUIRED service" in told


def test_no_tunnel_before_the_database_is_known(make, one_function):
    with pytest.raises(CommandError, match="not applied in local yet: /local/myApp/DATABASE_HOST"):
        mysql.tunnel("local")


def test_a_secret_that_terraform_makes_no_place_for(make, one_function, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a value"))
    done = make("secret", "NAME=NOTHING")
    refused(done, "/local/myApp/NOTHING does not exist: ")


@pytest.mark.parametrize("payload", ["", "{", '{"a": 1} {}'])
def test_a_payload_that_is_not_json(make, one_function, monkeypatch, payload):
    monkeypatch.setattr(sys, "stdin", io.StringIO(payload))
    refused(make("invoke", *WHOLE["invoke"]), "the payload is not one JSON value: ")


PLATFORM = {
    "time": "2026-11-22T00:00:00.000Z",
    "type": "platform.report",
    "record": {"requestId": "1", "metrics": {"durationMs": 12.3}, "status": "success"},
}
NOT_IMPORTED = {
    "timestamp": "2026-11-22T00:00:00Z",
    "log_level": "ERROR",
    "errorMessage": "Unable to import module 'a.b': No module named 'c'",
    "errorType": "Runtime.ImportModuleError",
    "requestId": "",
    "stackTrace": [],
}
RAISED = NOT_IMPORTED | {
    "errorMessage": "7",
    "errorType": "ValueError",
    "stackTrace": ['  File "/var/task/a.py", line 1, in handler\n    f()\n'],
}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (PLATFORM, "INFO run ended: success durationMs=12.3"),
        (
            PLATFORM | {"record": {"status": "error", "errorType": "Runtime.ImportModuleError"}},
            "ERROR run ended: error Runtime.ImportModuleError durationMs=None",
        ),
        (PLATFORM | {"record": {"status": "timeout"}}, "ERROR run ended: timeout durationMs=None"),
        (
            NOT_IMPORTED,
            "ERROR Runtime.ImportModuleError: Unable to import module 'a.b': No module named 'c'",
        ),
        (RAISED, 'ERROR ValueError: 7\n    File "/var/task/a.py", line 1, in handler\n    f()'),
        ({"level": "INFO", "message": "posted", "posted": 6}, "INFO posted posted=6"),
        ({"type": "platform.start"}, '{"type": "platform.start"}'),
        ([1], "[1]"),
    ],
)
def test_a_line_of_a_log_is_shown_as_words(line, shown):
    assert logs.readable(json.dumps(line)) == shown


def test_it_goes_on_with_what_is_applied_and_names_the_rest(make, one_function, logged):
    at = logged("a line")
    done = make("logs")
    assert done.err.startswith("not applied in local yet: cloudwatch_to_mackerel, ")
    assert done.code == 0
    # Whatever the zone of this machine is.
    assert done.out == f"{at.astimezone(TOKYO):%H:%M:%S} JST db_to_cloudwatch: a line\n"


@pytest.mark.parametrize(
    ("zones", "zone"),
    [
        ([], "Asia/Tokyo"),
        ([None, "Europe/Berlin", "Europe/Berlin"], "Europe/Berlin"),
        (["Europe/Berlin", "Asia/Seoul"], "Asia/Tokyo"),
    ],
)
def test_the_zone_of_the_times(zones, zone):
    told = [{"TIMEZONE": one} if one else {} for one in zones]
    about = {str(number): {"environment": one} for number, one in enumerate(told)}
    assert logs.zone_of(about).key == zone
