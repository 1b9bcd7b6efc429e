import io
import json
import time
import zipfile

import pytest

from sandbox.runs import Function, Line, Run, Seen, newest_failures, reader, runs_of


def events(*messages):
    return [
        {"timestamp": 1_700_000_000_000 + i, "message": text} for i, text in enumerate(messages)
    ]


def logged(message, level="INFO", **extras):
    return json.dumps(
        {"timestamp": "…", "level": level, "logger": "a.b", "message": message, **extras}
    )


START = "START RequestId: one Version: 4"
END = "END RequestId: one"
REPORT = "REPORT RequestId: one\tDuration: 43 ms\tBilled Duration: 43 ms\tMemory Size: 256 MB"
TRACE = (
    "Traceback (most recent call last):",
    '  File "handler.py", line 100, in handler',
    "    raise InvalidEvent",
    "common.events.InvalidEvent: mackerel_service: missing",
)


def test_a_run_that_went_well():
    (run,) = runs_of(
        events(START, logged("posted", posted=62, without=["a"], note="日本"), END, REPORT), 30
    )
    assert run == Run(
        id="one",
        at=1_700_000_000.0,
        milliseconds=43.0,
        error=None,
        lines=(Line("INFO", "posted", 'posted=62  without=["a"]  note=日本'),),
    )


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (TRACE, "InvalidEvent: mackerel_service: missing"),
        ((*TRACE, "", "During handling …:", "", *TRACE[:3], "ValueError"), "ValueError"),
        (TRACE[:2], "an exception"),
        ((logged("retrying", "ERROR", stackTrace="Traceback (most recent call last):"),), None),
        ((), None),
    ],
)
def test_a_traceback_is_a_failure(messages, error):
    (run,) = runs_of(events(START, *messages, END, REPORT), 30)
    assert run.error == error
    assert len(run.lines) == len(messages)


def test_a_run_that_took_all_of_its_time_failed():
    report = REPORT.replace("Duration: 43 ms", "Duration: 30001 ms", 1)
    (run,) = runs_of(events(START, END, report), 30)
    assert run.error == "Task timed out after 30 seconds"


def test_one_stream_may_have_several_runs_and_one_that_is_not_over():
    runs = runs_of(events(START, END, REPORT, START.replace("one", "two"), "a print"), 30)
    assert [(run.id, run.milliseconds) for run in runs] == [("one", 43.0), ("two", None)]
    assert runs[1].lines == (Line("", "a print"),)


def test_an_error_of_lambdas_own_is_a_failure():
    error = {"errorMessage": "Unable to import module 'a.b': no", "errorType": "Runtime.Import"}
    text = json.dumps({"timestamp": "…", "log_level": "ERROR", **error, "stackTrace": []})
    (run,) = runs_of(events(START, text, END, REPORT), 30)
    assert run.error == "Runtime.Import: Unable to import module 'a.b': no"
    assert run.lines == (Line("ERROR", run.error),)


def test_lines_are_bounded():
    (run,) = runs_of(events(START, *("x" * 5000 for _ in range(500)), END, REPORT), 30)
    assert (len(run.lines), len(run.lines[0].message)) == (40, 1000)


def test_only_failures_of_the_last_hour_count():
    now = time.time()
    runs = [Run("new", now - 60, 1, "E", ()), Run("ok", now, 1, None, ())]
    seen = Seen((Function("f", (*runs, Run("old", now - 4000, 1, "E", ()))),))
    assert [run.id for _, run in newest_failures(seen)] == ["new"]


def test_not_deployed_yet_is_no_failure_any_more_once_it_is_deployed():
    now = time.time()
    early = Run("early", now - 60, 1.0, "RuntimeError: f is not deployed yet: run make deploy", ())
    wrong = Run("wrong", now - 50, 1.0, "ValueError: 7", ())
    never = Seen((Function("f", (wrong, early)),))
    since = Seen((Function("f", (wrong, early), deployed=True),))
    assert [run.id for _, run in newest_failures(never)] == ["wrong", "early"]
    assert [run.id for _, run in newest_failures(since)] == ["wrong"]


def test_it_reads_the_logs_of_a_real_aws(aws, client):
    logs, group = client("logs", aws), "/aws/lambda/of-the-runs-test"
    logs.create_log_group(logGroupName=group)
    at = int(time.time() * 1000)
    for stream, texts in (("a", (START, "ok", END, REPORT)), ("b", (START, *TRACE, END, REPORT))):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[
                {"timestamp": at + (stream == "b"), "message": text.replace("one", stream)}
                for text in texts
            ],
        )
    role = client("iam", aws).create_role(
        RoleName="of-the-runs-test", AssumeRolePolicyDocument="{}"
    )
    functions = client("lambda", aws)
    for name in ("of-the-runs-test", "never-ran"):
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="a.b" if name == "of-the-runs-test" else "placeholder.handler",
            Code={"ZipFile": b"PK\x05\x06" + bytes(18)},
        )
    try:
        seen = reader(aws.url)()
        found = {function.name: function.runs for function in seen.functions}
        deployed = {function.name: function.deployed for function in seen.functions}
    finally:
        logs.delete_log_group(logGroupName=group)
        client("iam", aws).delete_role(RoleName="of-the-runs-test")
        for name in ("of-the-runs-test", "never-ran"):
            functions.delete_function(FunctionName=name)
    assert found["never-ran"] == ()
    assert (deployed["of-the-runs-test"], deployed["never-ran"]) == (True, False)
    assert [(run.id, run.error) for run in found["of-the-runs-test"]] == [
        ("b", "InvalidEvent: mackerel_service: missing"),
        ("a", None),
    ]


def test_a_function_that_cannot_be_imported_is_a_failure_in_the_logs(aws, client):
    name = "cannot-be-imported"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.py", "def broken(:\n")
    iam, functions, logs = (client(one, aws) for one in ("iam", "lambda", "logs"))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="a.handler",
        Code={"ZipFile": content.getvalue()},
    )
    try:
        answer = functions.invoke(FunctionName=name)
        told = json.loads(answer["Payload"].read())
        runs = {function.name: function.runs for function in reader(aws.url)().functions}
    finally:
        functions.delete_function(FunctionName=name)
        logs.delete_log_group(logGroupName=f"/aws/lambda/{name}")
        iam.delete_role(RoleName=name)
    assert answer["FunctionError"] == "Unhandled"
    assert told["errorType"] == "Runtime.ImportModuleError"
    assert told["errorMessage"].startswith("Unable to import module 'a': invalid syntax")
    (run,) = runs[name]
    assert run.error == f"Runtime.ImportModuleError: {told['errorMessage']}"
    assert newest_failures(Seen((Function(name, (run,)),))) != []
