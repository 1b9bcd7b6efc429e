"""The exports: the queue, the function in between, S3, the stream, SES, the mail, and the click."""

import csv
import gzip
import io
import itertools
import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import boto3
import psutil
import pytest
import requests
from boto3.dynamodb.types import TypeDeserializer

import lifecycle
import processes
from stack import REGION
from tests.e2e.conftest import PREFIX
from tests.e2e.s3_between import listening
from tests.support import free_port, until

pytestmark = pytest.mark.usefixtures("quiet")
TANAKA, SMITH = "tanaka@example.com", "smith@example.com"
SINCE = {"since": "2026-01-01"}
TITLES = ["ID", "氏名", "メールアドレス", "登録日時 (UTC)"]
USERS = "SELECT id, name, email, created_at FROM users ORDER BY id"
# Of a table with some 520 bytes a row: a part has 8 MiB.
TWO_PARTS, THREE_PARTS = 24_000, 46_000
LINES = """/*
key = "id"
turn = {turn}
[parameters]
last = "integer"
*/
SELECT id, line FROM export_lines WHERE id <= %(last)s
"""
# The laptop's is twice as long; one that fails five times has to wait for 31 of them.
LEASE = 3


@dataclass
class Exports:
    """The exports as an application has them, and the mails as their receivers do."""

    laptop: object
    s3: object
    known: dict
    run: str
    numbers: object = field(default_factory=lambda: itertools.count(1))
    asked: dict = field(default_factory=dict)  # all that were, by their ids

    def aws(self, service):
        return self.laptop.aws(service)

    def job(self):
        return f"{self.run}-{next(self.numbers)}"

    def ask(self, job=None, *, times=1, sqs=None, **fields):
        """Put a job into the queue, as often as said; returns its id."""
        message = {"job_id": job or self.job(), "query": "users", "parameters": SINCE}
        message |= {"mail_to": TANAKA, **fields}
        self.asked[message["job_id"]] = message
        queue, body = self.known["queue_url"], json.dumps(message)
        send = (sqs or self.aws("sqs")).send_message
        with ThreadPoolExecutor(times) as pool:
            list(pool.map(lambda _: send(QueueUrl=queue, MessageBody=body), range(times)))
        return message["job_id"]

    def lines(self, job, last, query="lines", **fields):
        return self.ask(job, query=query, parameters={"last": last}, bom=False, **fields)

    def item(self, job):
        found = self.aws("dynamodb").get_item(
            TableName=self.known["table"], Key={"job_id": {"S": job}}, ConsistentRead=True
        )
        plain = TypeDeserializer().deserialize
        return {name: plain(value) for name, value in found.get("Item", {}).items()}

    def mails(self, job):
        """Return the mails of a job, which name it."""
        items = self.laptop.inbox(channel="mail")
        named = re.compile(rf"{job}(?!\d)")
        return [
            item["body"] | {"at": item["id"]}
            for item in items
            if named.search(item["body"]["text"])
        ]

    def mail(self, job, seconds=30):
        """Wait for the mail of a job."""
        (mail,) = until(lambda: self.mails(job), seconds)
        assert mail["to"] == [self.asked[job]["mail_to"]]
        return mail

    def link(self, job):
        (link,) = re.findall(r"^http\S+$", self.mail(job)["text"], re.MULTILINE)
        assert link.startswith(f"{self.known['base_url']}/exports/{job}/")
        return link

    def file(self, job):
        """Follow the link of a job's mail."""
        answer = requests.get(self.link(job), timeout=30)
        assert answer.status_code == 200, answer.text
        return answer

    def expected(self, sql, titles, *, bom=True):
        """Return what the file has to be, as csv writes what MariaDB says."""
        with self.laptop.stack.connect("reader") as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall()
        out = io.StringIO(newline="")
        writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows([titles, *rows])
        return (b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode()

    def is_whole(self, job, last):
        """Say whether a job's file has all the lines up to this one, once."""
        sql = f"SELECT id, line FROM export_lines WHERE id <= {last} ORDER BY id"
        return self.file(job).content == self.expected(sql, ["id", "line"], bom=False)

    def logged(self, function, word, job):
        """Return a function's log lines of a job that begin with this word."""
        events = self.aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{PREFIX}{function}")[
            "events"
        ]
        lines = [json.loads(e["message"]) for e in events if e["message"].startswith("{")]
        return [one for one in lines if one["message"] == word and job in one.values()]

    def kill(self):
        """Kill what runs of the function, as a machine that fails does."""
        name = f"{PREFIX}data_export"
        killed = 0
        for process in processes.of_stack(self.laptop.stack.folder):
            try:
                if process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
            except psutil.Error:
                continue
        assert killed


@pytest.fixture(scope="module")
def known(laptop):
    done = laptop.shell("terraform -chdir=terraform output -json data_export")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def deployed(laptop, tmp_path_factory):
    """The function with queries of the tests, a short lease, and S3 behind what is yielded."""
    folder, port = laptop.copy(tmp_path_factory.mktemp("project")), free_port()
    for query, turn in (("lines", 780), ("turns", 1)):
        file = folder / f"functions/data_export/queries/{query}.sql"
        file.write_text(LINES.format(turn=turn))
    between = f"http://127.0.0.1:{port}"
    variables = {
        "data_export": {"LEASE_SECONDS": str(LEASE), "AWS_ENDPOINT_URL_S3": between},
        # Time moves sixty times as fast: a mail's pauses are seconds, not minutes.
        "export_mail": {"RETRY_SECONDS": "1", "AWS_ENDPOINT_URL_SESV2": between},
    }
    for function, own in variables.items():
        definition = folder / f"lambroll/{function}.jsonnet"
        more = json.dumps({"Environment": {"Variables": own}})
        definition.write_text(f"std.mergePatch({definition.read_text().rstrip()}, {more})\n")
    with listening(laptop.stack.aws_url, port) as between:
        laptop.deploy(folder, *variables)
        yield between
        done = laptop.make("deploy", f"FUNCTION={' '.join(variables)}")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def table(laptop):
    """Lines of all that CSV has to take care of: some 24 MB."""
    with laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
        cursor.execute(
            """CREATE OR REPLACE TABLE export_lines
            (id INT UNSIGNED NOT NULL PRIMARY KEY, line VARCHAR(600) NOT NULL)"""
        )
        cursor.execute(
            f"""INSERT INTO export_lines SELECT seq, RPAD(CONCAT('人😀, "', seq, '"\r\n'), 500, 'x')
            FROM seq_1_to_{THREE_PARTS}"""
        )
        connection.commit()
    yield
    with laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE export_lines")


@pytest.fixture(scope="module")
def exports(laptop, known, deployed, table):
    run = f"e2e-{laptop.newest()}"
    exports = Exports(laptop, deployed, known, run)
    yield exports
    bucket = boto3_bucket(laptop, known)
    for job in exports.asked:
        bucket.objects.filter(Prefix=f"exports/{job}/").delete()


def boto3_bucket(laptop, known):
    s3 = boto3.resource(
        "s3",
        endpoint_url=laptop.stack.aws_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return s3.Bucket(known["bucket"])


@pytest.fixture(scope="module", autouse=True)
def doomed(exports):
    """A job that S3 turns away for good: it takes its time until that is given up."""
    job = exports.job()
    exports.s3.refusals[job] = [403] * 9
    return exports.ask(job, language="en", mail_to=SMITH)


@pytest.fixture(scope="module", autouse=True)
def put_off(exports):
    """A job whose mail SES puts off, until a test has seen that for long enough."""
    job = exports.job()
    exports.s3.mails[job] = "TooManyRequestsException"
    return exports.ask(job, mail_to=SMITH)


@pytest.fixture
def application(exports):
    """The queue as it is to a role that has the policy for applications, and no more."""
    name = f"application-{exports.run}"
    iam = exports.aws("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]
    policy = exports.known["sender_policy_json"]
    iam.put_role_policy(RoleName=name, PolicyName="send", PolicyDocument=policy)
    given = exports.aws("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
    yield boto3.client(
        "sqs",
        region_name=REGION,
        endpoint_url=exports.laptop.stack.aws_url,
        aws_access_key_id=given["Credentials"]["AccessKeyId"],
        aws_secret_access_key=given["Credentials"]["SecretAccessKey"],
        aws_session_token=given["Credentials"]["SessionToken"],
    )
    iam.delete_role_policy(RoleName=name, PolicyName="send")
    iam.delete_role(RoleName=name)


def test_nineteen_mails_go_out_at_once_beside_one_that_is_put_off(exports, put_off):
    until(lambda: exports.s3.refused[put_off])
    for job in [exports.ask() for _ in range(19)]:
        exports.mail(job)
    assert exports.item(put_off)["mail"] == "sending"
    assert "TooManyRequests" in exports.item(put_off)["mail_reason"]
    # At once, and after 1, 2, 4, 8 and 16 minutes of moved time; after 32 more it goes out.
    exports.s3.enough[put_off] = 6


def test_from_the_message_to_the_file(exports, application):
    job = exports.ask(sqs=application)
    mail = exports.mail(job)
    assert mail["subject"] == "CSVファイルができました: 利用者一覧"
    assert mail["from"] == "exports@example.com"
    link = exports.link(job)
    file = exports.file(job)
    assert file.content == exports.expected(USERS, TITLES)
    rows = f"{len(file.text.splitlines()) - 1:,}"
    assert f"件数: {rows} 件\n" in mail["text"]
    assert f"<dd>{rows} 件</dd>" in mail["html"]
    assert f'<a class="button" href="{link}">ダウンロード</a>' in mail["html"]
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.match(r'attachment; filename="users_\d{8}\.csv"', file.headers["Content-Disposition"])
    assert file.history[0].headers["Cache-Control"] == "no-store"
    assert exports.logged("export_link", "downloaded", job)
    for denied in (
        lambda: application.receive_message(QueueUrl=exports.known["queue_url"]),
        lambda: application.send_message(
            QueueUrl=exports.known["dead_letter_queue_url"], MessageBody="x"
        ),
    ):
        with pytest.raises(application.exceptions.ClientError, match="AccessDenied"):
            denied()


def test_in_english_and_compressed(exports):
    job = exports.ask(language="en", gzip=True, mail_to=SMITH)
    mail = exports.mail(job)
    assert mail["subject"] == "Your CSV file is ready: Users"
    assert "The link works until" in mail["html"]
    file = exports.file(job)
    assert file.headers["Content-Type"] == "application/gzip"
    assert ".csv.gz" in file.headers["Content-Disposition"]
    assert gzip.decompress(file.content) == exports.expected(USERS, TITLES, bom=False)


def test_no_rows_are_a_header(exports):
    job = exports.ask(parameters={"since": "2999-01-01"}, bom=False)
    assert exports.file(job).text == ",".join(f'"{one}"' for one in TITLES) + "\r\n"


def test_the_same_message_five_times_at_once(exports):
    job = exports.lines(exports.job(), TWO_PARTS, times=5)
    assert exports.is_whole(job, TWO_PARTS)
    assert exports.s3.parts[job] == [1, 2]
    # And once more, when all is over.
    exports.lines(job, TWO_PARTS)
    until(lambda: len(exports.logged("data_export", "job", job)) >= 6)
    assert exports.s3.parts[job] == [1, 2]


def test_killed_in_the_middle_it_goes_on_after_the_last_part(exports):
    job = exports.job()
    held = exports.s3.hold(job, part=2)
    exports.lines(job, TWO_PARTS)
    assert held.arrived.wait(20)
    exports.kill()
    held.lose()
    assert exports.is_whole(job, TWO_PARTS)
    assert exports.s3.parts[job] == [1, 2]
    assert [one["rows"] > 0 for one in exports.logged("data_export", "reading", job)] == [
        False,
        True,
    ]


def test_the_database_is_restarted_in_the_middle(exports):
    stack = exports.laptop.stack
    job = exports.job()
    held = exports.s3.hold(job, part=1)
    # More than may wait to be sent: there is some still to be read.
    exports.lines(job, THREE_PARTS)
    assert held.arrived.wait(20)
    lifecycle.control(stack, "stop", "mariadb")
    try:
        held.go.set()
        until(lambda: exports.item(job)["lease_until"] == 0)
    finally:
        lifecycle.control(stack, "start", "mariadb")
    assert exports.is_whole(job, THREE_PARTS)
    assert exports.s3.parts[job] == [1, 2, 3]


def test_s3_says_500_and_the_client_asks_again(exports):
    job = exports.job()
    exports.s3.refusals[job] = [500, 500]
    exports.lines(job, TWO_PARTS)
    assert exports.is_whole(job, TWO_PARTS)
    assert len(exports.logged("data_export", "reading", job)) == 1


def test_s3_says_500_for_longer_and_the_job_is_tried_again(exports):
    job = exports.job()
    exports.s3.refusals[job] = [500] * 5
    exports.lines(job, TWO_PARTS)
    assert exports.is_whole(job, TWO_PARTS)
    assert len(exports.logged("data_export", "reading", job)) == 2


def test_a_job_cut_into_three_runs(exports):
    job = exports.job()
    exports.s3.delays[job] = 1.1
    exports.lines(job, THREE_PARTS, query="turns")
    assert exports.is_whole(job, THREE_PARTS)
    assert exports.s3.parts[job] == [1, 2, 3]
    began = [one["rows"] for one in exports.logged("data_export", "reading", job)]
    assert began == sorted({*began})
    assert len(began) == 3


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"query": "<nothing>"}, "unknown_query", "「<nothing>」という名前のデータは"),
        ({"parameters": {"since": "<b>"}}, "parameter", "since: got '<b>', takes a date"),
        ({"parameters": {}}, "parameter", "since: missing"),
    ],
    ids=["unknown query", "wrong parameter", "missing parameter"],
)
def test_what_cannot_be_is_told_at_once(exports, fields, code, words):
    job = exports.ask(**fields)
    mail = exports.mail(job)
    assert mail["subject"].startswith("CSVファイルを作成できませんでした: ")
    assert words in mail["text"]
    assert "<b>" not in mail["html"]
    assert "<nothing>" not in mail["html"]
    assert exports.item(job)["reason"]["code"] == code
    (line,) = exports.logged("data_export", "refused", job)
    assert line["level"] == "ERROR"
    assert "http" not in mail["text"]


def test_ses_refuses_for_good(exports):
    job = exports.job()
    exports.s3.mails[job] = "MessageRejected"
    exports.ask(job)
    until(lambda: exports.item(job).get("mail") == "refused")
    assert exports.logged("export_mail", "refused", job)
    status = exports.laptop.make("export-status", f"JOB={job}").stdout
    assert "mail    refused: " in status
    assert "a test said so" in status
    assert (exports.mails(job), exports.s3.refused[job]) == ([], 1)
    del exports.s3.mails[job]
    # By hand, once the account is out of its sandbox.
    assert exports.laptop.answer("export_mail", job_id=job) == {"mails": {job: "sent"}}
    exports.file(job)


def test_what_is_no_message_is_given_up(exports):
    sqs = exports.aws("sqs")
    sent = sqs.send_message(QueueUrl=exports.known["queue_url"], MessageBody="{")["MessageId"]
    until(lambda: exports.logged("export_mail", "no request", sent))
    lines = exports.logged("data_export", "no job", sent)
    assert len(lines) == 5
    until(lambda: waiting(sqs, exports.known["dead_letter_queue_url"]) == 0)


def waiting(sqs, queue):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def test_a_link_is_withdrawn(exports):
    job = exports.ask()
    link = exports.link(job)
    token = link.rsplit("/", 1)[1]
    status = exports.laptop.make("export-status", f"JOB={job}").stdout
    assert "state   done\n" in status
    assert "link    works until " in status
    assert token not in status
    done = exports.laptop.make("export-revoke", f"JOB={job}")
    assert done.returncode == 0, done.stderr
    answer = requests.get(link, timeout=30)
    assert answer.status_code == 410
    assert "link    withdrawn at " in exports.laptop.make("export-status", f"JOB={job}").stdout


def test_a_link_past_its_end_and_links_that_never_were(exports):
    job = exports.ask()
    link = exports.link(job)
    exports.aws("dynamodb").update_item(
        TableName=exports.known["table"],
        Key={"job_id": {"S": job}},
        UpdateExpression="SET link_until = :past",
        ExpressionAttributeValues={":past": {"N": "1000"}},
    )
    over = requests.get(link, timeout=30)
    assert over.status_code == 410
    assert "このリンクは使えなくなりました" in over.text
    assert '<section lang="en">' in over.text
    for wrong in (f"{link}x", link[:-1], link.replace(job, "nobodys")):
        answer = requests.get(wrong, timeout=30)
        assert answer.status_code == 404
        assert "There is no such file" in answer.text


def test_by_hand(exports):
    done = exports.laptop.make(
        *("export", "QUERY=users", f"PARAMS={json.dumps(SINCE)}", f"MAIL={SMITH}"),
        *("LANGUAGE=en", "GZIP=1"),
    )
    assert done.returncode == 0, done.stderr
    job = re.search(r"make export-status JOB=(\S+)", done.stdout)[1]
    exports.asked[job] = {"mail_to": SMITH}
    assert exports.mail(job)["subject"].startswith("Your CSV file is ready")
    for target in ("export", "export-revoke"):
        refused = exports.laptop.make(target, "ENV=production", f"JOB={job}")
        assert "add CONFIRM=production" in refused.stderr
    assert "there is no job nobodys" in exports.laptop.make("export-status", "JOB=nobodys").stderr


def test_in_the_browser_the_mail_is_shown_and_its_button_downloads(exports, look):
    job = exports.ask()
    mail = exports.mail(job)
    page = look(SimpleNamespace(url=exports.laptop.stack.sandbox_url))
    frame = page.frame_locator(f'iframe[src="/mail/{mail["at"]}"]')
    frame.get_by_text("利用者一覧").wait_for()
    with page.expect_download() as arrived:
        frame.get_by_role("link", name="ダウンロード").click()
    download = arrived.value
    assert re.fullmatch(r"users_\d{8}\.csv", download.suggested_filename)
    assert download.path().read_bytes() == exports.expected(USERS, TITLES)


def test_what_fails_five_times_is_given_up_and_told(exports, doomed):
    mail = exports.mail(doomed, 150)
    assert mail["subject"].startswith("Your CSV file could not be made")
    assert "We tried several times without success." in mail["text"]
    assert doomed not in exports.s3.parts
    assert exports.logged("export_mail", "given up", doomed)
    sqs = exports.aws("sqs")
    until(lambda: waiting(sqs, exports.known["dead_letter_queue_url"]) == 0)
    metrics = exports.aws("cloudwatch").list_metrics(
        Namespace="Mimamori", MetricName="ExportsGivenUp"
    )["Metrics"]
    assert [one["Dimensions"] for one in metrics] == [[{"Name": "Environment", "Value": "local"}]]


def test_a_mail_that_was_put_off_for_an_hour_goes_out(exports, put_off):
    exports.mail(put_off, 300)
    assert exports.s3.refused[put_off] >= 6
    sqs = exports.aws("sqs")
    queue = sqs.get_queue_url(QueueName=f"{PREFIX}exports-mails")["QueueUrl"]
    until(lambda: waiting(sqs, queue) == 0)


def test_at_the_end_each_job_had_one_mail_and_a_file_or_none(exports):
    sqs = exports.aws("sqs")
    until(lambda: waiting(sqs, exports.known["queue_url"]) == 0, 60)
    for job in exports.asked:
        until(lambda job=job: exports.item(job).get("mail") == "sent", 60)
    items = {job: exports.item(job) for job in exports.asked}
    for job in items:
        assert len(exports.mails(job)) == 1, job
    done = sorted(item["key"] for item in items.values() if item["state"] == "done")
    bucket = boto3_bucket(exports.laptop, exports.known)
    there = sorted(one.key for one in bucket.objects.filter(Prefix="exports/"))
    assert [key for key in there if key.split("/")[1] in exports.asked] == done
    assert list(bucket.multipart_uploads.all()) == []
