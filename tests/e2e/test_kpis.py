"""The KPIs: the database, a file of each day on S3, the queue, Google's tokens, BigQuery."""

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from google.api_core.exceptions import NotFound
from playwright.sync_api import expect

from seed import TOKYO
from stack import GOOGLE_PROJECT
from tests.e2e.conftest import PREFIX
from tests.sandbox.warehouse import client
from tests.support import until

pytestmark = pytest.mark.usefixtures("quiet")
DAYS = 30
NAMES = ["active_users", "registrations", "sales"]
CREDENTIALS = "/local/myApp/GOOGLE_CREDENTIALS"
WIDE = 40_000  # rows: three parts of an upload
HEADER = """/*
owner = "tests"
description = "For tests"
partition = "day"
{more}
[columns.day]
type = "DATE"
"""
BROKEN = HEADER.format(more="") + "*/\nSELECT %(day)s AS day FROM nowhere\n"
LINES = (
    HEADER.format(more='group = "tests"\nkey = "n"')
    + rf"""[columns.n]
type = "INT64"
[columns.line]
type = "STRING"
*/
SELECT %(day)s AS day, seq AS n, RPAD(CONCAT('人😀, "', seq, '"\r\n'), 400, 'x') AS line
FROM seq_1_to_{WIDE}
"""
)
# What MariaDB says of the days that begin with the first, each in Tokyo.
SAYS = {
    "sales": f"""
      SELECT DATE(created_at + INTERVAL 9 HOUR) AS day, status, COUNT(*), SUM(amount)
      FROM orders GROUP BY day, status
      HAVING day >= %(first)s AND day < %(first)s + INTERVAL {DAYS} DAY""",
    "registrations": f"""
      SELECT day, SUM(made = day), SUM(made <= day)
      FROM (SELECT DATE(%(first)s) + INTERVAL seq DAY AS day FROM seq_0_to_{DAYS - 1}) AS days
      JOIN (SELECT DATE(created_at + INTERVAL 9 HOUR) AS made FROM users) AS users
      GROUP BY day""",
    "active_users": f"""
      SELECT
        day,
        COUNT(DISTINCT IF(made = day, user_id, NULL)),
        COUNT(DISTINCT IF(made > day - INTERVAL 7 DAY, user_id, NULL)),
        COUNT(DISTINCT user_id),
        COUNT(DISTINCT IF(made = day, user_id, NULL)) / COUNT(DISTINCT user_id)
      FROM (SELECT DATE(%(first)s) + INTERVAL seq DAY AS day FROM seq_0_to_{DAYS - 1}) AS days
      JOIN (
        SELECT DATE(created_at + INTERVAL 9 HOUR) AS made, user_id
        FROM orders WHERE status <> 'cancelled'
      ) AS orders ON made <= day AND made > day - INTERVAL 30 DAY
      GROUP BY day""",
}


@dataclass(frozen=True)
class Kpis:
    """The KPIs as those have them who run them, and BigQuery as its own client shows it."""

    laptop: object
    known: dict
    bq: object
    first: date
    began: datetime

    def day(self, number):
        """Return one of the days that are filled; each test has its own."""
        return self.first + timedelta(days=number)

    def run(self, day, *names):
        """Write a day's files once more, and wait until they are loaded."""
        with self.loaded(len(names)):
            self.laptop.answer("kpi_to_s3", day=str(day), kpis=[*names])

    @contextmanager
    def loaded(self, more, seconds=60):
        """Wait for so many loads more, when the block has ended."""
        before = len(self.rows("kpi_loads"))
        yield
        until(lambda: len(self.rows("kpi_loads")) >= before + more, seconds)

    def waiting(self, queue):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.laptop.aws("sqs").get_queue_attributes(
            QueueUrl=self.known[queue], AttributeNames=names
        )["Attributes"]
        return sum(int(found[name]) for name in names)

    def rows(self, table):
        try:
            found = self.bq.list_rows(f"{GOOGLE_PROJECT}.{self.known['dataset']}.{table}")
            return sorted((tuple(row.values()) for row in found), key=repr)
        except NotFound:
            return []

    def loads(self, name, day):
        """Return what was noted of a day's loads, oldest first: (rows, source)."""
        found = self.rows("kpi_loads")
        return [
            (one[2], one[4])
            for one in sorted(found, key=lambda one: one[3])
            if one[:2] == (name, day)
        ]

    def says(self, name):
        """Return what the rows of the days have to be, as MariaDB says."""
        with self.laptop.stack.connect("reader") as connection, connection.cursor() as cursor:
            cursor.execute(SAYS[name], {"first": self.first})
            rows = cursor.fetchall()
        if name == "active_users":
            rows = [(*row[:-1], float(row[-1])) for row in rows]
        return sorted(rows, key=repr)

    def admin(self, sql, *values):
        with self.laptop.stack.connect("admin") as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            connection.commit()

    def key(self, name, day):
        return f"kpi/{name}/dt={day}/{name}.csv"

    def versions(self, name, day):
        """Return the versions of a file, newest first."""
        found = self.laptop.aws("s3").list_object_versions(
            Bucket=self.known["bucket"], Prefix=self.key(name, day)
        )["Versions"]
        return [one["VersionId"] for one in found]

    def notify(self, name, day, version):
        """Tell the queue of a version, as S3 does."""
        named = {"key": quote(self.key(name, day)), "versionId": version}
        s3 = {"bucket": {"name": self.known["bucket"]}, "object": named}
        body = {"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]}
        self.laptop.aws("sqs").send_message(
            QueueUrl=self.known["queue_url"], MessageBody=json.dumps(body)
        )

    def logged(self, words):
        """Return the log lines of s3_to_bigquery that begin with these words."""
        events = self.laptop.aws("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{PREFIX}s3_to_bigquery"
        )["events"]
        lines = [json.loads(e["message"]) for e in events if e["message"].startswith("{")]
        return [
            one
            for one in lines
            if one["message"].startswith(words)
            and datetime.fromisoformat(one["timestamp"]) >= self.began
        ]

    def status(self, day, *names):
        return self.laptop.make("kpi-status", f"DAY={day}", f"NAME={' '.join(names)}")


def test_a_kpi_is_tried_before_it_is_deployed(laptop):
    day = datetime.now(TOKYO).date() - timedelta(days=1)
    done = laptop.make("kpi-check", "NAME=sales registrations", f"DAY={day}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^sales  {day}  \d rows$", done.stdout, re.MULTILINE)
    assert re.search(r"^  orders +INT64 +BIGINT$", done.stdout, re.MULTILINE)
    assert f"registrations  {day}  1 rows" in done.stdout
    assert "no schedule" not in done.stdout
    wrong = laptop.make("kpi-check", "NAME=nothing")
    assert wrong.returncode != 0
    assert "there is no KPI 'nothing'" in wrong.stdout


@pytest.fixture(scope="module")
def kpis(laptop):
    """The laptop with each KPI of thirty days in BigQuery."""
    done = laptop.shell("terraform -chdir=terraform output -json kpi_to_bigquery")
    assert done.returncode == 0, done.stderr
    known = json.loads(done.stdout)
    # S3's own test came before the function did, and rests for an hour.
    laptop.aws("sqs").purge_queue(QueueUrl=known["queue_url"])
    began = datetime.now(UTC)
    last = began.astimezone(TOKYO).date() - timedelta(days=1)
    first = last - timedelta(days=DAYS - 1)
    role = laptop.aws("sts").assume_role(RoleArn=known["role_arn"], RoleSessionName="test")
    given = role["Credentials"]
    keys = [given[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    with client(SimpleNamespace(url=laptop.stack.sandbox_url), keys=keys) as bq:
        kpis = Kpis(laptop, known, bq, first, began)
        with kpis.loaded(len(NAMES) * DAYS):
            filled = laptop.make("kpi-backfill", f"FROM={first}", f"TO={last}")
            assert filled.returncode == 0, filled.stdout + filled.stderr
            assert filled.stdout.startswith(f"{len(NAMES) * DAYS} files with ")
        yield kpis


@pytest.fixture(scope="module")
def deploy(kpis, tmp_path_factory):
    """Both functions with queries of the tests; what is yielded deploys one anew.

    Then it knows nothing of before: neither tokens nor parameters.
    """
    folder = kpis.laptop.copy(tmp_path_factory.mktemp("project"))
    capability = folder / "functions/kpi_to_bigquery"
    for name, sql in (("broken", BROKEN), ("lines", LINES)):
        (capability / f"queries/{name}.sql").write_text(sql)

    def deploy(*functions):
        with (capability / "__init__.py").open("a") as file:
            file.write("\n")
        kpis.laptop.deploy(folder, *functions)

    deploy("kpi_to_s3", "s3_to_bigquery")
    yield deploy
    done = kpis.laptop.make("deploy", "FUNCTION=kpi_to_s3 s3_to_bigquery")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_thirty_days_are_what_the_database_says(kpis, name):
    rows = kpis.rows(name)
    assert rows == kpis.says(name)
    assert {row[0] for row in rows} == {kpis.day(number) for number in range(DAYS)}
    table = kpis.bq.get_table(f"{GOOGLE_PROJECT}.{kpis.known['dataset']}.{name}")
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("DAY", "day")
    loaded = [one for one in kpis.rows("kpi_loads") if one[0] == name]
    assert {one[1] for one in loaded} == {row[0] for row in rows}
    assert all(datetime.now(UTC) - one[3] < timedelta(hours=1) for one in loaded)


def test_the_same_day_twice_doubles_nothing(kpis):
    day = kpis.day(3)
    before, rows = kpis.loads("sales", day), kpis.rows("sales")
    kpis.run(day, "sales")
    assert kpis.rows("sales") == rows
    assert [one[0] for one in kpis.loads("sales", day)] == [before[0][0]] * (len(before) + 1)


def test_a_corrected_source_changes_its_day_and_events_in_disorder_nothing(kpis):
    day = kpis.day(5)
    before = kpis.rows("sales")
    correct = "UPDATE orders SET amount = amount + %s WHERE DATE(created_at + INTERVAL 9 HOUR) = %s"
    kpis.admin(correct, 10, day)
    try:
        kpis.run(day, "sales")
        after = kpis.rows("sales")
        assert after == kpis.says("sales")
        assert {row[0] for row in {*before} ^ {*after}} == {day}
        new, old, *_ = kpis.versions("sales", day)
        loads = kpis.loads("sales", day)
        assert loads[-1][1] == f"{kpis.key('sales', day)} {new}"
        for version in (new, old, old, new):
            kpis.notify("sales", day, version)
        until(lambda: kpis.waiting("queue_url") == 0)
        assert kpis.rows("sales") == after
        assert kpis.loads("sales", day) == loads
        assert kpis.waiting("dead_letter_queue_url") == 0
    finally:
        kpis.admin(correct, -10, day)
    kpis.run(day, "sales")
    assert kpis.rows("sales") == before


def test_a_kpi_that_fails_keeps_no_other_from_its_turn(kpis, deploy):
    day = kpis.day(7)
    before = {name: len(kpis.loads(name, day)) for name in NAMES}
    with kpis.loaded(len(NAMES)):
        done = kpis.laptop.invoke("kpi_to_s3", group="daily", day=str(day))
    assert done.returncode != 0
    assert f"broken.sql of {day}" in done.stderr
    assert "nowhere' doesn't exist" in done.stderr
    assert {name: len(kpis.loads(name, day)) - before[name] for name in NAMES} == dict.fromkeys(
        NAMES, 1
    )
    status = kpis.status(day, "broken", "sales")
    assert status.returncode != 0
    assert re.search(r"^  broken +- +0 +- +WRONG: no file$", status.stdout, re.MULTILINE)


def test_a_large_file_with_503_in_the_middle(kpis, deploy, no_faults):
    day = kpis.day(9)
    # The beginning and the first part are only kept waiting.
    kpis.laptop.fault(service="bigquery-upload", delay=0.01, times=2)
    kpis.laptop.fault(service="bigquery-upload", status=503)
    kpis.run(day, "lines")
    (line,) = until(lambda: kpis.logged("a part was cut off"))
    assert "503" in line["reason"]
    sql = f"SELECT COUNT(*), SUM(n), COUNT(DISTINCT line) FROM {kpis.known['dataset']}.lines"
    (found,) = kpis.bq.query_and_wait(sql)
    assert tuple(found.values()) == (WIDE, WIDE * (WIDE + 1) // 2, WIDE)
    (some,) = kpis.bq.query_and_wait(f"SELECT line FROM {kpis.known['dataset']}.lines WHERE n = 7")
    assert some[0] == '人😀, "7"\r\n'.ljust(400, "x")
    status = kpis.status(day, "lines")
    assert status.returncode == 0, status.stdout + status.stderr
    assert re.search(rf"^  lines +{WIDE:,} +{WIDE:,} +\d{{4}}-", status.stdout, re.MULTILINE)


@pytest.fixture
def mend(kpis, deploy):
    """Let Google know nothing of the provider; what is yielded puts the right one back."""
    ssm = kpis.laptop.aws("ssm")
    right = ssm.get_parameter(Name=CREDENTIALS)["Parameter"]["Value"]
    audience = json.loads(right)["audience"]
    mended = []

    def put(value):
        ssm.put_parameter(Name=CREDENTIALS, Value=value, Overwrite=True)
        deploy("s3_to_bigquery")

    def mend():
        if not mended:
            mended.append(put(right))

    put(right.replace(audience, f"{audience}-2"))
    yield mend
    mend()


def test_a_role_that_is_not_let_in_is_named_and_the_file_is_kept(kpis, mend):
    day = kpis.day(11)
    before = kpis.loads("registrations", day)
    kpis.laptop.answer("kpi_to_s3", day=str(day), kpis=["registrations"])
    until(lambda: kpis.waiting("dead_letter_queue_url") == 1, 60)
    errors = [
        one for one in kpis.logged("not loaded") if kpis.key("registrations", day) in str(one)
    ]
    assert len(errors) == 3
    role = kpis.known["role_arn"].rpartition("/")[2]
    assert f"Google gives the AWS role arn:aws:sts::000000000000:assumed-role/{role}" in str(
        errors[0]
    )
    status = kpis.status(day, "registrations")
    assert status.returncode != 0
    assert f"assumed-role/{role} no token" in status.stderr
    mend()
    status = kpis.status(day, "registrations")
    assert "WRONG: loaded before the file was written again" in status.stdout
    with kpis.loaded(1):
        send_back(kpis)
    assert len(kpis.loads("registrations", day)) == len(before) + 1
    assert kpis.status(day, "registrations").returncode == 0


def send_back(kpis):
    """Send what is in the dead letter queue back to its queue, which the laptop does not do."""
    sqs = kpis.laptop.aws("sqs")
    dead = {"QueueUrl": kpis.known["dead_letter_queue_url"]}
    (message,) = sqs.receive_message(**dead)["Messages"]
    sqs.send_message(QueueUrl=kpis.known["queue_url"], MessageBody=message["Body"])
    sqs.delete_message(**dead, ReceiptHandle=message["ReceiptHandle"])


def test_a_day_that_is_not_there_and_a_replay(kpis):
    day = kpis.day(DAYS)  # today
    status = kpis.status(day)
    assert status.returncode != 0
    assert status.stdout.count("WRONG: no file") >= len(NAMES)
    day = kpis.day(13)
    before = kpis.loads("sales", day)
    kpis.laptop.answer("s3_to_bigquery", key=kpis.key("sales", day))
    assert kpis.loads("sales", day) == before
    kpis.laptop.answer("s3_to_bigquery", key=kpis.key("sales", day), replay=True)
    assert kpis.loads("sales", day) == [*before, before[-1]]
    assert kpis.rows("sales") == kpis.says("sales")
    assert kpis.status(day, *NAMES).returncode == 0


def test_the_page_draws_each_kpi_over_its_days(kpis, look):
    page = look(SimpleNamespace(url=kpis.laptop.stack.sandbox_url), "/bigquery")
    card = page.locator("[id='table-kpis.sales']")
    expect(card).to_contain_text(f"Partitioned by the day of day: {DAYS} days")
    # Its rows, orders and sales, each by day.
    expect(card.locator("rect")).to_have_count(3 * DAYS)
    expect(page.locator("[id='table-kpis.kpi_loads']")).to_contain_text("registrations")
