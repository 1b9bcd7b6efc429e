"""Jobs from the message to the file: a real database, AWS played by moto."""

import functools
import gzip
import json
import threading
import time

import pymysql
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber

from common import aws, csv_blocks, dynamodb, mysql, sqs
from common.events import InvalidEvent
from data_export import export, jobs, request, upload
from data_export import handler as entrance
from data_export.export import Refused
from data_export.handler import NotYet, handler
from tests.support import one_at_a_time

ROWS = 45_000
BUCKET = "exports"


class Context:
    """What Lambda tells of itself; the time that is left is what a test says."""

    def __init__(self, seconds=600):
        self.seconds = seconds

    def get_remaining_time_in_millis(self):
        return self.seconds * 1000


@pytest.fixture(scope="module", autouse=True)
def people(settings):
    connection = mysql.connect(settings, 60, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("""CREATE TABLE people (id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
            name VARCHAR(600) NOT NULL, note TEXT, born DATE)""")
        cursor.execute(f"""INSERT INTO people SELECT seq * 7, RPAD(CONCAT('人', seq), 500, 'x'),
            IF(seq % 5, 'a "b"', NULL), '2000-01-01' + INTERVAL seq DAY
            FROM numbers WHERE seq BETWEEN 1 AND {ROWS}""")
    connection.close()


@pytest.fixture(scope="module")
def _clients():
    """Clients of a played AWS, which outlive a test: to make one takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
        patch.setattr(aws, "client", functools.cache(aws.client.__wrapped__))
        yield


@pytest.fixture
def cloud(settings, _clients, tmp_path, monkeypatch):
    """AWS with the table, the bucket and the queue; queries of the test's own."""
    for name, value in {
        "EXPORT_TABLE": "exports",
        "EXPORT_BUCKET": BUCKET,
        "LINK_DAYS": "7",
        "LEASE_SECONDS": "60",
        "RECEIVES": "5",
        "PARAMETER_PATH": "/test/app",
        "DATABASE_REPLICA_HOST": "",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        BackendDict.reset()  # the unit tests play an AWS for all of a session
        aws.client("dynamodb").create_table(
            TableName="exports",
            KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
        )
        queue = aws.client("sqs").create_queue(QueueName="exports")["QueueUrl"]
        monkeypatch.setenv("EXPORT_QUEUE_URL", queue)
        for name, value in {
            "HOST": settings.host,
            "PORT": str(settings.port),
            "NAME": settings.name,
            "USER": settings.user,
            "PASSWORD": settings.password,
            "CA": settings.ca,
        }.items():
            aws.client("ssm").put_parameter(
                Name=f"/test/app/DATABASE_{name}", Value=value, Type="String"
            )
        yield tmp_path


@pytest.fixture
def query(cloud, monkeypatch):
    """Return a function that puts a query there."""
    monkeypatch.setattr(request.names, "__defaults__", (cloud,))
    monkeypatch.setattr(request.load, "__defaults__", (cloud,))
    monkeypatch.setattr(request, "FOLDER", cloud)

    def put(name, sql, header='key = "id"'):
        (cloud / f"{name}.sql").write_text(f"/*\n{header}\n*/\n{sql}\n", encoding="utf-8")

    put("people", "SELECT id, name, note, born FROM people")
    return put


def asked(**more):
    return {"job_id": "job-1", "query": "people", "mail_to": "a@example.com", "bom": False} | more


def content(key="exports/job-1/people.csv"):
    return aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()


def records(*bodies, received=1):
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(received)},
            }
            for number, body in enumerate(bodies)
        ]
    }


def messages():
    found = aws.client("sqs").receive_message(
        QueueUrl=aws.client("sqs").get_queue_url(QueueName="exports")["QueueUrl"],
        MaxNumberOfMessages=10,
    )
    return [json.loads(message["Body"]) for message in found.get("Messages", [])]


def uploads():
    return aws.client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


@pytest.fixture(scope="module")
def expected(people, settings):
    with csv_blocks.snapshot(settings, seconds=300, time_zone="+09:00") as connection:
        sql = "SELECT id, name, note, born FROM people ORDER BY id"
        reading = csv_blocks.read(connection, csv_blocks.Source(sql), csv_blocks.Form())
        assert reading.way == "plain"
        body = b"".join(block.data for block in reading.blocks)
    return b'"id","name","note","born"\r\n' + body


@pytest.mark.parametrize("header", ['key = "id"', ""], ids=["key", "no key"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_job_gives_one_file(query, expected, zipped, header):
    query("people", "SELECT id, name, note, born FROM people", header)

    summary = handler(asked(gzip=zipped), Context())

    body = content("exports/job-1/people.csv" + (".gz" if zipped else ""))
    assert (gzip.decompress(body) if zipped else body) == expected
    job = jobs.load("job-1")
    assert (job.state, job.mail, job.rows, job.bytes) == ("done", "due", ROWS, len(body))
    assert summary["rows"] == ROWS
    assert (job.parts > 1) is not zipped
    assert uploads() == []


def test_titles_and_the_mark_for_excel(query):
    query(
        "few",
        "SELECT id, name FROM people WHERE id = %(id)s AND '%%' = '%%'",
        'key = "id"\nparameters = {id = "integer"}\n[columns]\nid = "番号"\nname = "氏名"',
    )
    handler(asked(query="few", parameters={"id": 7}, bom=None), Context())
    body = content("exports/job-1/few.csv").decode("utf-8-sig")
    assert body == '"番号","氏名"\r\n7,"人1' + "x" * 498 + '"\r\n'
    assert content("exports/job-1/few.csv").startswith(b"\xef\xbb\xbf")


def test_no_rows_is_a_header(query):
    query("none", "SELECT id, name FROM people WHERE id < 0")
    handler(asked(query="none"), Context())
    assert content("exports/job-1/none.csv") == b'"id","name"\r\n'
    assert jobs.load("job-1").rows == 0


@pytest.mark.parametrize(
    ("more", "code", "detail"),
    [
        ({"query": "../secret"}, "unknown_query", "../secret (there are people, since)"),
        ({"query": "since"}, "parameter", "day: missing"),
        ({"query": "since", "parameters": {"day": "x"}}, "parameter", "day: got 'x', takes a date"),
        (
            {"query": "since", "parameters": {"day": "2000-01-01", "x": 1}},
            "parameter",
            "parameters: expected day (date); unknown: x",
        ),
    ],
)
def test_what_cannot_be_done_is_told_once(query, more, code, detail):
    query("since", "SELECT id FROM people WHERE born = %(day)s", 'parameters = {day = "date"}')

    answer = handler(records(asked(**more)), Context())

    job = jobs.load("job-1")
    assert answer == {"batchItemFailures": []}
    assert (job.state, job.mail, job.reason["code"]) == ("failed", "due", code)
    assert detail in job.reason["detail"]


@pytest.mark.parametrize(
    ("sql", "header", "code"),
    [
        ("SELECT nothing FROM people", "", "query_failed"),
        ("SELEC id FROM people", "", "query_failed"),
        ("SELECT id FROM people", 'columns = {other = "x"}', "query_failed"),
        ("SELECT id FROM people", 'colour = "x"', "query_failed"),
        ("SELECT (SELECT id FROM people) AS id", "", "query_failed"),
        ("SELECT nothing(id) FROM people", "", "query_failed"),
        (
            "SELECT name COLLATE utf8mb4_bin = name COLLATE utf8mb4_general_ci FROM people",
            "",
            "query_failed",
        ),
        ("SELECT ~0 + 1 AS much FROM people", "", "query_failed"),
        ("INSERT INTO people VALUES (1, '', '', NULL)", "", "query_failed"),
        ("SET @x = 1", "", "query_failed"),
        (
            "SELECT id FROM people WHERE id = %(other)s",
            'parameters = {id = "integer"}',
            "query_failed",
        ),
        (
            "SELECT id FROM people WHERE note LIKE 'a%' OR id = %(id)s",
            'parameters = {id = "integer"}',
            "query_failed",
        ),
        ("SELECT id FROM people WHERE note REGEXP '('", "", "query_failed"),
        ("SELECT id FROM people WHERE ROW_NUMBER() OVER () = 1", "", "query_failed"),
        ("SELECT NTILE(0) OVER () AS id FROM people", "", "query_failed"),
        ("WITH RECURSIVE x AS (SELECT n + 1 FROM x) SELECT n FROM x", "", "query_failed"),
        ("SELECT id FROM people a JOIN people b", "", "query_failed"),
        ("SELECT @@nothing AS id", "", "query_failed"),
        ("SELECT id FROM people PARTITION (p)", "", "query_failed"),
        ("SELECT DEFAULT(id) AS id FROM people", "", "query_failed"),
        ("SELECT SLEEP(9) AS id", "timeout = 1", "too_slow"),
        ("SELECT id, SLEEP(0.01) FROM people", "timeout = 1", "too_slow"),
    ],
)
def test_a_query_that_fails_is_told_once(query, sql, header, code):
    query("wrong", sql, header)
    parameters = {"id": 1} if "parameters" in header else {}
    body = asked(query="wrong", parameters=parameters)
    assert handler(records(body), Context()) == {"batchItemFailures": []}
    assert jobs.load("job-1").reason["code"] == code
    assert uploads() == []


def test_without_a_key_a_job_that_takes_too_long_ends(query):
    query("slow", "SELECT id, name FROM people", "")
    handler(records(asked(query="slow", job_id="job-2")), Context(seconds=100))
    assert jobs.load("job-2").state == "done"
    handler(records(asked(query="slow")), Context(seconds=19))
    assert jobs.load("job-1").reason["code"] == "too_long"
    assert uploads() == []


def test_what_is_no_job_goes_on_to_the_dead_letters(query, caplog):
    broken = [
        *("no json", "[]", "[" * 100_000, json.dumps({"job_id": "x"})),
        *(
            json.dumps(asked(**more))
            for more in (
                {"mail_to": "nobody"},
                {"mail_to": "some body@example.com"},
                {"mail_to": "\0@example.com"},
                {"query": "\ud800"},
                {"parameters": {"x": "\ud800"}},
                {"parameters": {"x": "y" * 100_000}},
                {"z" * 250_000: 1},
            )
        ),
    ]
    for body in broken:
        answer = handler(records(body), Context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert jobs.load("job-1") is None
    reasons = [one.reason for one in caplog.records if one.message == "no job"]
    assert len(reasons) == len(broken)
    assert "@" not in "".join(reasons)


def test_a_job_cut_into_runs_is_one_file(query, expected):
    runs, body = 0, asked()
    while body:
        handler(records(body), Context(seconds=100))  # less than the reserve
        runs += 1
        body = next(iter(messages()), None)
        assert body in (None, {"continue": "job-1"})
    assert runs == 3
    assert content() == expected
    assert jobs.load("job-1").rows == ROWS


def test_columns_that_change_between_two_runs_begin_the_file_anew(query, execute):
    execute("CREATE TABLE altered (PRIMARY KEY (id)) SELECT * FROM people")
    query("altered", "SELECT * FROM altered")
    handler(records(asked(query="altered")), Context(seconds=100))
    assert jobs.load("job-1").parts == 1
    execute("ALTER TABLE altered ADD COLUMN extra INT DEFAULT 5")

    with pytest.raises(NotYet, match="columns have changed"):
        handler({"continue": "job-1"}, Context())
    handler({"continue": "job-1"}, Context())
    lines = content("exports/job-1/altered.csv").split(b"\r\n")
    assert lines[0] == b'"id","name","note","born","extra"'
    assert len(lines) == ROWS + 2
    assert all(line.endswith(b",5") for line in lines[1:-1])
    assert uploads() == []


def test_a_run_that_is_too_slow_for_a_part_ends(query):
    handler(records(asked()), Context(seconds=19))
    assert jobs.load("job-1").reason["code"] == "too_long"
    assert uploads() == []


def test_rows_that_change_between_two_runs(query, execute):
    """Ahead of the key they are seen as they are then; behind it they are not read again."""
    handler(records(asked()), Context(seconds=100))
    position = int(jobs.load("job-1").position)
    execute(
        f"INSERT INTO people VALUES (3, 'late', NULL, NULL), ({position + 1}, 'new', NULL, NULL)"
    )
    try:
        handler({"continue": "job-1"}, Context())
        body = content()
    finally:
        execute(f"DELETE FROM people WHERE id IN (3, {position + 1})")
    assert b'"late"' not in body
    assert body.count(f'\r\n{position + 1},"new",,\r\n'.encode()) == 1
    assert body.count(b"\r\n") == ROWS + 2


def dies(monkeypatch, place, name, moment):
    """Let a run be killed before or after a call, without a chance to tidy up."""
    real = getattr(place, name)

    class Killed(BaseException):
        pass

    def call(*args, **kwargs):
        if moment == "after":
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, name, call)
        patch.setattr(upload, "abort", lambda _: None)
        with pytest.raises(Killed):
            handler(asked(), Context())


@pytest.mark.parametrize(
    ("place", "name", "moment"),
    [
        (jobs, "claim", "after"),
        (upload, "begin", "before"),
        (upload, "begin", "after"),
        (csv_blocks, "read", "after"),
        (upload, "complete", "before"),
        (upload, "complete", "after"),
    ],
)
def test_killed_anywhere_it_goes_on(query, expected, monkeypatch, place, name, moment):
    dies(monkeypatch, place, name, moment)
    with pytest.raises(NotYet, match="another run has the job"):
        handler(asked(), Context())
    over = {"lease_until": 1}
    dynamodb.change("exports", {"job_id": "job-1"}, over, when="attribute_exists(lease_until)")
    handler(asked(), Context())
    assert content() == expected
    assert jobs.load("job-1").state == "done"


def test_killed_between_two_parts_it_reads_no_part_twice(query, expected, monkeypatch):
    sent = []
    real = upload.Upload._send

    def send(self):
        real(self)
        sent.append(self.job.position)
        if len(sent) == 1:
            raise pymysql.OperationalError(2013, "Lost connection to server during query")

    monkeypatch.setattr(upload.Upload, "_send", send)
    with pytest.raises(NotYet, match="Lost connection"):
        handler(asked(), Context())
    assert jobs.load("job-1").parts == 1

    handler(asked(), Context())
    assert content() == expected
    assert sent == sorted(sent, key=int)


def test_s3_fails_on_a_part(query, expected, monkeypatch):
    real, failures = upload.Upload._send, []

    def send(self):
        if not failures:
            failures.append(1)
            raise ClientError({"Error": {"Code": "InternalError", "Message": "x"}}, "UploadPart")
        real(self)

    monkeypatch.setattr(upload.Upload, "_send", send)
    answer = handler(records(asked()), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    handler(records(asked(), received=2), Context())
    assert content() == expected


def test_the_same_message_five_times_at_once(query, expected, monkeypatch):
    one_at_a_time(monkeypatch, BotocoreStubber, "process_request")
    answers = []

    def run(number):
        event = records(asked())
        event["Records"][0]["messageId"] = f"m{number}"
        answers.append(handler(event, Context()))

    threads = [threading.Thread(target=run, args=[number]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"batchItemFailures": []}] * 5
    assert content() == expected
    assert uploads() == []


def test_a_run_that_lost_its_job_writes_no_more(query, expected, monkeypatch):
    real = upload.Upload._send

    def send(self):
        item = aws.client("dynamodb")
        item.update_item(
            TableName="exports",
            Key={"job_id": {"S": "job-1"}},
            UpdateExpression="SET #owner = :other, lease_until = :past",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":other": {"S": "other"}, ":past": {"N": "0"}},
        )
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(upload.Upload, "_send", send)
        with pytest.raises(NotYet, match="another run has the job"):
            handler(asked(), Context())
    assert jobs.load("job-1").parts == 0
    handler(asked(), Context())
    assert content() == expected


def test_a_run_that_lost_its_job_and_fails_leaves_the_others_upload(query, expected, monkeypatch):
    def refuse(job, _):
        taken = {"owner": "other", "upload_id": "another's", "lease_until": 0}
        dynamodb.change("exports", {"job_id": job.job_id}, taken, when="attribute_exists(job_id)")
        raise Refused("too_slow", "1 s")

    aborted = []
    with monkeypatch.context() as patch:
        patch.setattr(entrance, "export", refuse)
        patch.setattr(upload, "abort", aborted.append)
        with pytest.raises(NotYet, match="another run has the job"):
            handler(asked(), Context())
    assert (jobs.load("job-1").state, aborted) == ("running", [])


def test_s3_that_does_not_say_whether_the_file_is_there_is_asked_again(
    query, expected, monkeypatch
):
    def slow(_, operation):
        raise ClientError({"Error": {"Code": "503", "Message": "Slow Down"}}, operation)

    def gone(_, operation):
        raise ClientError({"Error": {"Code": "NoSuchUpload", "Message": "x"}}, operation)

    s3 = aws.client("s3")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "complete_multipart_upload", lambda **_: gone(_, "Complete"))
        patch.setattr(s3, "head_object", lambda **_: slow(_, "HeadObject"))
        with pytest.raises(NotYet, match="Slow Down"):
            handler(asked(), Context())
    job = jobs.load("job-1")
    assert (job.completing, job.rows) == (True, ROWS)
    handler(asked(), Context())
    assert content() == expected


def test_a_file_of_too_many_parts_is_refused(query, monkeypatch):
    monkeypatch.setattr(upload, "MOST_PARTS", 1)
    handler(records(asked()), Context())
    job = jobs.load("job-1")
    assert job.reason["code"] == "too_large"
    assert uploads() == []


def test_a_message_that_was_not_sent_lets_the_job_go_on(query, expected, monkeypatch):
    def down(**_):
        raise ConnectTimeoutError(endpoint_url="sqs")

    with monkeypatch.context() as patch:
        patch.setattr(aws.client("sqs"), "send_message", down)
        with pytest.raises(NotYet, match="ConnectTimeoutError"):
            handler(asked(), Context(seconds=100))
    handler(asked(), Context())
    assert content() == expected


def test_a_message_that_cannot_be_hidden_is_worked_on(query, monkeypatch, caplog):
    def down(**_):
        raise ConnectTimeoutError(endpoint_url="sqs")

    monkeypatch.setattr(aws.client("sqs"), "change_message_visibility", down)
    assert handler(records(asked()), Context()) == {"batchItemFailures": []}
    assert jobs.load("job-1").state == "done"
    assert "cannot hide the message" in caplog.text


def test_logs_hold_no_address_nor_all_of_a_value(query, caplog):
    query("since", "SELECT id FROM people WHERE born = %(day)s", 'parameters = {day = "date"}')
    for number, day in enumerate(("hanako@example.com", "x" * 50_000, "y@" * 20_000)):
        more = {"query": "since", "parameters": {"day": day}, "job_id": f"job-{number}"}
        handler(records(asked(**more)), Context())
        assert jobs.load(f"job-{number}").reason["code"] == "parameter"
    reasons = [one.reason for one in caplog.records if one.message == "refused"]
    assert len(reasons) == 3
    assert "@" not in "".join(reasons)
    assert max(map(len, reasons)) < 300


def test_a_part_that_is_another_than_was_sent_begins_the_file_anew(query, expected, monkeypatch):
    real = upload.complete

    def complete(job):
        aws.client("s3").upload_part(
            Bucket=BUCKET, Key=job.key, UploadId=job.upload_id, PartNumber=1, Body=b"x" * 6_000_000
        )
        return real(job)

    with monkeypatch.context() as patch:
        patch.setattr(upload, "complete", complete)
        with pytest.raises(NotYet, match="Spoilt"):
            handler(asked(), Context())
    handler(asked(), Context())
    assert content() == expected


def test_a_lost_upload_is_begun_anew(query, expected, monkeypatch):
    handler(records(asked()), Context(seconds=100))

    def send(_):
        # moto itself does not know how to say it.
        raise ClientError({"Error": {"Code": "NoSuchUpload", "Message": "x"}}, "UploadPart")

    with monkeypatch.context() as patch:
        patch.setattr(upload.Upload, "_send", send)
        with pytest.raises(NotYet, match="NoSuchUpload"):
            handler({"continue": "job-1"}, Context())
    handler({"continue": "job-1"}, Context())
    assert content() == expected


def test_the_replica_is_preferred_and_the_database_stands_in(query, monkeypatch, caplog, settings):
    query("none", "SELECT id FROM people WHERE id < 0")
    hosts = []
    real = mysql.connect

    def connect(known, longest, **options):
        hosts.append(known.host)
        return real(known, longest, **options)

    monkeypatch.setattr(mysql, "connect", connect)
    monkeypatch.setenv("DATABASE_REPLICA_HOST", "localhost")
    handler(asked(query="none"), Context())
    assert set(hosts) == {"localhost"}

    hosts.clear()
    monkeypatch.setenv("DATABASE_REPLICA_HOST", "replica.invalid")
    handler(asked(query="none", job_id="job-2"), Context())
    assert hosts[-1] == settings.host
    assert "the replica does not answer" in caplog.text


def test_a_database_that_is_down_is_asked_again_later(query, monkeypatch):
    aws.client("ssm").put_parameter(
        Name="/test/app/DATABASE_PORT", Value="1", Type="String", Overwrite=True
    )
    with pytest.raises(NotYet, match="Can't connect"):
        handler(asked(), Context())
    job = jobs.load("job-1")
    assert (job.state, job.lease_until, job.mail) == ("running", 0, None)


def test_a_table_of_jobs_that_does_not_answer_is_asked_again_later(query, monkeypatch):
    hidden = []
    monkeypatch.setattr(sqs, "hide", lambda *message: hidden.append(message[2]))
    answer = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "x"}}

    def throttled(*_):
        raise ClientError(answer, "PutItem")

    monkeypatch.setattr(jobs, "claim", throttled)
    answer = handler(records(asked(), received=2), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert hidden == [120]


def test_another_request_of_the_same_id_is_told(query, caplog):
    handler(records(asked()), Context())
    handler(records(asked()), Context())
    assert "another request" not in caplog.text
    handler(records(asked(mail_to="b@example.com")), Context())
    assert "another request had this id" in caplog.text


@pytest.mark.parametrize("body", [asked(), {"continue": "job-1"}], ids=["request", "continue"])
@pytest.mark.parametrize(
    ("holder", "failed"), [("other", []), ("m0", ["m0"]), (None, ["m0"])], ids=str
)
def test_a_message_is_needed_unless_the_run_that_has_the_job_came_by_another(
    query, body, holder, failed
):
    jobs.claim("job-1", request.parse_message(asked()).as_item(), int(time.time()), 60, holder)
    answer = handler(records(body), Context())
    assert [one["itemIdentifier"] for one in answer["batchItemFailures"]] == failed


@pytest.mark.parametrize(("received", "seconds"), [(1, 60), (2, 120), (4, 480), (5, 0)])
def test_when_it_is_tried_again(query, monkeypatch, received, seconds):
    hidden = []
    monkeypatch.setattr(sqs, "hide", lambda *message: hidden.append(message[2]))
    aws.client("ssm").put_parameter(
        Name="/test/app/DATABASE_PORT", Value="1", Type="String", Overwrite=True
    )
    handler(records(asked(), received=received), Context())
    assert hidden[-1] == seconds


def test_the_longest_run_and_the_reserve_are_the_functions_time():
    assert request.LONGEST + export.RESERVE == 900


def checked(*names, **more):
    payload = {"check": True} | ({"queries": [*names]} if names else {}) | more
    return handler(payload, Context())["checks"]


def test_a_check_shows_a_query_and_writes_nothing(query):
    query(
        "born",
        "SELECT id, note, RPAD('x', 100, 'x') AS x FROM people WHERE id >= %(least)s",
        'key = "id"\ntitle = {en = "People"}\nparameters = {least = "integer"}\n'
        '[columns]\nid = "番号"\nnote = "備考"\nx = "X"',
    )
    [told] = checked("born")
    assert told.pop("source")
    assert told == {
        "query": "born",
        "title": {"en": "People"},
        "parameters": {"least": "integer"},
        "values": {"least": 1},
        "columns": [
            {"name": "id", "declared": "番号", "came": "BIGINT"},
            {"name": "note", "declared": "備考", "came": "text"},
            {"name": "x", "declared": "X", "came": "text"},
        ],
        "way": "keys",
        "why": "",
        "first": [[str(7 * n), 'a "b"' if n % 5 else "\\N", "x" * 59 + "…"] for n in range(1, 6)],
        "errors": [],
    }
    [told] = checked("born", parameters={"least": 314_993})
    assert [row[0] for row in told["first"]] == ["314993", "315000"]
    assert (uploads(), jobs.load("job-1")) == ([], None)
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("sql", "header", "way", "why"),
    [
        ("SELECT id, name FROM people", "", "lines", "it names no key"),
        ("SELECT id FROM people", 'key = "name"', "lines", "its key name is no column of it"),
        ("SELECT id FROM people ORDER BY id", 'key = "id"', "plain", "it has an ORDER BY of its"),
        ("SELECT born AS id FROM people", 'key = "id"', "lines", "its key id may be NULL"),
    ],
)
def test_a_check_says_how_a_query_is_read_and_why(query, sql, header, way, why):
    query("people", sql, header)
    [told] = checked()
    assert (told["way"], told["errors"], len(told["first"])) == (way, [], 5)
    assert told["why"].startswith(why)


@pytest.mark.parametrize(
    ("sql", "header", "more", "error"),
    [
        ("SELECT nothing FROM people", "", {}, "nothing"),
        (
            "SELECT id FROM people",
            'columns = {other = "x"}',
            {},
            "gives the columns id, declares o",
        ),
        ("SELECT id FROM people", 'colour = "x"', {}, "header: unknown field: colour"),
        ("SELECT 1; SELECT 2", "", {}, "takes one statement: another begins after ; (line 4)"),
        (
            "SELECT id FROM people WHERE born = %(day)s",
            'parameters = {day = "date"}',
            {"parameters": {"day": 1}},
            "parameters: expected day (date); day: got 1, takes a date",
        ),
        ("SELECT SLEEP(9) AS id", "timeout = 1", {}, "max_statement_time"),
    ],
)
def test_a_check_says_what_is_wrong(query, server, sql, header, more, error):
    query("people", sql, header)
    [told] = checked("people", **more)
    if server == "mysql" and "SLEEP" in sql:
        error = "maximum statement execution time"
    assert error in "; ".join(told["errors"])
    assert told["first"] == []


def test_a_check_of_what_cannot_be_read_fast_says_so(query):
    query("long", "SELECT id, REPEAT('x', 9000) AS x FROM people WHERE id < 15", "")
    [told] = checked("long")
    assert (told["way"], told["errors"]) == ("plain", [])
    assert "a row has no line" in told["why"]


def test_a_check_without_time_says_so(query):
    told = handler({"check": True}, Context(seconds=19))["checks"]
    assert [one["errors"] for one in told] == [["no time was left to try it"]]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"check": False}, "check: got False, takes true"),
        ({"check": True, "queries": []}, "queries: got [], takes one name at least"),
        ({"check": True, "queries": ["x"]}, "queries: got 'x', takes people"),
        ({"check": True, "parameters": {}}, "parameters: got {}, takes nothing, unless queries"),
        ({"check": True, "job_id": "x"}, "unknown field: job_id"),
    ],
)
def test_a_check_that_is_not_as_it_must_be(query, payload, message):
    with pytest.raises(InvalidEvent) as error:
        handler(payload, Context())
    assert message in str(error.value)


def test_a_check_does_not_come_by_the_queue(query):
    answer = handler(records({"check": True}), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
