"""Believable data for the laptop: users and orders in the database, sign-ins in CloudWatch.

All of it follows from the date and the minute, so filling it again adds only what is missing.
"""

import math
import random
import re
import secrets
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from stack import REGION, ROOT, Stack

TOKYO = timezone(timedelta(hours=9), "JST")
DAYS = 42
DATABASE_RECORD = "mimamori-local-db"
OFFICE_HOURS = {"Key": "Schedule", "Value": "office-hours"}

TABLES = (
    """CREATE TABLE IF NOT EXISTS users (
      id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
      name VARCHAR(100) NOT NULL,
      email VARCHAR(255) NOT NULL UNIQUE,
      created_at DATETIME NOT NULL COMMENT 'UTC',
      KEY (created_at)
    )""",
    """CREATE TABLE IF NOT EXISTS orders (
      id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
      user_id BIGINT UNSIGNED NOT NULL,
      status ENUM('pending', 'paid', 'shipped', 'cancelled') NOT NULL,
      amount INT UNSIGNED NOT NULL COMMENT 'JPY',
      created_at DATETIME NOT NULL COMMENT 'UTC',
      KEY (created_at),
      FOREIGN KEY (user_id) REFERENCES users (id)
    )""",
)

FAMILY_NAMES = (
    *(("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka")),
    *(("伊藤", "ito"), ("渡辺", "watanabe"), ("山本", "yamamoto"), ("中村", "nakamura")),
    *(("小林", "kobayashi"), ("加藤", "kato"), ("吉田", "yoshida"), ("山田", "yamada")),
    *(("佐々木", "sasaki"), ("松本", "matsumoto"), ("井上", "inoue"), ("木村", "kimura")),
)
GIVEN_NAMES = (
    *(("陽葵", "himari"), ("凛", "rin"), ("結菜", "yuna"), ("美咲", "misaki"), ("葵", "aoi")),
    *(("蓮", "ren"), ("湊", "minato"), ("大翔", "hiroto"), ("悠真", "yuma"), ("健太", "kenta")),
    *(("花子", "hanako"), ("さくら", "sakura"), ("翔太", "shota"), ("直樹", "naoki")),
)

# Orders by weekday, Monday first: people shop at the weekend.
BY_WEEKDAY = (0.9, 0.85, 0.9, 0.95, 1.1, 1.3, 1.25)
# By hour in Tokyo: quiet at night, a rise at noon, most in the evening.
BY_HOUR = (*(3, 2, 1, 1, 1, 1), *(2, 4, 6, 6, 6, 7), *(10, 8, 6, 6, 6, 7), *(8, 10, 12, 13, 11, 7))

Row = tuple[Any, ...]


def seed_phones(stack: Stack) -> None:
    """Make the tables of the phone escalation, with their sample rows, where they are missing."""
    with stack.connect("admin") as connection, connection.cursor() as cursor:
        for name in ("tables", "sample"):
            text = (ROOT / f"functions/phone_escalation/schema/{name}.sql").read_text("utf-8")
            without_comments = re.sub(r"(?m)^--.*$", "", text)
            for statement in filter(str.strip, re.split(r"(?m);$", without_comments)):
                cursor.execute(statement)
        connection.commit()


def seed(stack: Stack, now: datetime | None = None) -> dict[str, int]:
    """Fill the tables `users` and `orders` with the last six weeks; return their row counts.

    Rows have ids that follow from their day, so a second run on the same day adds those of the
    hours between, and one on another day those of the days between.
    """
    moment = now or datetime.now(UTC)
    users = _made_before(moment, _users(moment))
    orders = _made_before(moment, _orders(moment, [row[0] for row in users]))
    with stack.connect("admin") as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(table)
        cursor.executemany("INSERT IGNORE INTO users VALUES (%s, %s, %s, %s)", users)
        cursor.executemany("INSERT IGNORE INTO orders VALUES (%s, %s, %s, %s, %s)", orders)
        connection.commit()
        counts: dict[str, int] = {}
        for name, query in (
            ("users", "SELECT COUNT(*) FROM users"),
            ("orders", "SELECT COUNT(*) FROM orders"),
        ):
            cursor.execute(query)
            counts[name] = cursor.fetchone()[0]
    return counts


def _made_before(moment: datetime, rows: Iterator[Row]) -> list[Row]:
    """Keep the rows whose created_at (their last field, naive UTC) is not in the future."""
    limit = moment.astimezone(UTC).replace(tzinfo=None)
    return [row for row in rows if row[-1] <= limit]


def _days(moment: datetime) -> Iterator[tuple[date, float]]:
    """Give each day with its share: growing to 1 today, times that weekday's."""
    today = moment.astimezone(TOKYO).date()
    for age in range(DAYS - 1, -1, -1):
        day = today - timedelta(days=age)
        yield day, (1 - 0.7 * age / DAYS) * BY_WEEKDAY[day.weekday()]


def _first_id(day: date) -> int:
    """Ids of a day begin here: room for 1,000, and the same whenever the day is filled."""
    return (day - date(2020, 1, 1)).days * 1000


def _moment_of(day: date, chance: random.Random) -> datetime:
    hour = chance.choices(range(24), BY_HOUR)[0]
    local = datetime.combine(day, time(hour, chance.randrange(60), chance.randrange(60)), TOKYO)
    return local.astimezone(UTC).replace(tzinfo=None)


def _users(moment: datetime) -> Iterator[Row]:
    for day, share in _days(moment):
        for number in range(round(110 * share)):
            key = _first_id(day) + number
            chance = random.Random(f"user {key}")  # noqa: S311 (not for secrets)
            family, family_latin = chance.choice(FAMILY_NAMES)
            given, given_latin = chance.choice(GIVEN_NAMES)
            email = f"{given_latin}.{family_latin}.{key}@example.com"
            yield key, f"{family} {given}", email, _moment_of(day, chance)


def _orders(moment: datetime, users: list[int]) -> Iterator[Row]:
    today = moment.astimezone(TOKYO).date()
    for day, share in _days(moment):
        # Who orders has signed up on an earlier day; on the first day there are only that day's.
        known = [key for key in users if key < _first_id(day)] or users[:50]
        for number in range(round(260 * share)):
            key = _first_id(day) + number
            chance = random.Random(f"order {key}")  # noqa: S311
            amount = 10 * round(chance.lognormvariate(math.log(380), 0.7)) or 10
            if chance.random() < 0.06:
                status = "cancelled"
            elif day < today - timedelta(days=2):
                status = "shipped"
            else:
                status = chance.choice(("pending", "paid", "paid", "shipped"))
            yield key, chance.choice(known), status, amount, _moment_of(day, chance)


def client(stack: Stack, service: str) -> Any:
    """Make a boto3 client that talks to the stack's AWS as root, whatever the shell says."""
    url = stack.scaling_url if service == "application-autoscaling" else stack.aws_url
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106
    config = Config(proxies={}, connect_timeout=5, read_timeout=30, retries={"max_attempts": 2})
    return session.client(service, region_name=REGION, endpoint_url=url, config=config)


def put_cognito(
    stack: Stack,
    user_pool_id: str,
    client_id: str,
    now: datetime,
    identity_providers: Sequence[str],
) -> int:
    """Put the Cognito metrics of the last six hours as AWS would; return the data put.

    Each minute has samples of 1 (success) and 0 (failure): Sum counts the successes, SampleCount
    the attempts. Federation has the provider as a third dimension. Minutes that have data already
    are left alone.
    """
    end = now.astimezone(UTC).replace(second=0, microsecond=0)
    minutes = [end - timedelta(minutes=age) for age in range(6 * 60, 0, -1)]
    dimensions = [
        {"Name": "UserPool", "Value": user_pool_id},
        {"Name": "UserPoolClient", "Value": client_id},
    ]
    cloudwatch = client(stack, "cloudwatch")
    metric = ("AWS/Cognito", "SignInSuccesses", dimensions)
    there = _minutes_there(cloudwatch, metric, minutes[0], end)
    data = [
        {"MetricName": name, "Dimensions": dimensions + third, "Timestamp": minute, **samples}
        for minute in minutes
        if minute not in there
        for name, third, samples in _samples(minute, identity_providers)
    ]
    _put(cloudwatch, "AWS/Cognito", data)
    return len(data)


def put_users(stack: Stack, now: datetime) -> int:
    """Put the number of users, every five minutes of two days; return how many data that were.

    As db_to_cloudwatch would have. Minutes that have data already are left alone.
    """
    end = datetime.fromtimestamp(now.timestamp() // 300 * 300, UTC)
    minutes = [end - timedelta(minutes=5 * age) for age in range(2 * 24 * 12, 0, -1)]
    dimensions = [{"Name": "Environment", "Value": "local"}, {"Name": "RDS", "Value": "RECORDS"}]
    cloudwatch = client(stack, "cloudwatch")
    there = _minutes_there(cloudwatch, ("RDS/RECORDS", "USERS", dimensions), minutes[0], end)
    with stack.connect("reader") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT created_at FROM users ORDER BY created_at")
        created = [row[0].replace(tzinfo=UTC) for row in cursor.fetchall()]
    data = [
        {
            "MetricName": "USERS",
            "Dimensions": dimensions,
            "Timestamp": minute,
            "Value": bisect_right(created, minute),
            "Unit": "Count",
        }
        for minute in minutes
        if minute not in there
    ]
    _put(cloudwatch, "RDS/RECORDS", data)
    return len(data)


def _put(cloudwatch: Any, namespace: str, data: list[dict[str, Any]]) -> None:
    for start in range(0, len(data), 1000):  # the most that a request takes
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data[start : start + 1000])


def _minutes_there(
    cloudwatch: Any,
    metric: tuple[str, str, list[dict[str, str]]],
    start: datetime,
    end: datetime,
) -> set[datetime]:
    named = dict(zip(("Namespace", "MetricName", "Dimensions"), metric, strict=True))
    query = {"Id": "m", "MetricStat": {"Metric": named, "Period": 60, "Stat": "SampleCount"}}
    answer = cloudwatch.get_metric_data(StartTime=start, EndTime=end, MetricDataQueries=[query])
    return {at.astimezone(UTC) for at in answer["MetricDataResults"][0]["Timestamps"]}


def _samples(
    minute: datetime, identity_providers: Sequence[str]
) -> Iterator[tuple[str, list[dict[str, str]], dict[str, Any]]]:
    chance = random.Random(f"cognito {minute:%Y-%m-%dT%H:%M}")  # noqa: S311
    busy = BY_HOUR[minute.astimezone(TOKYO).hour] / 6
    for name, third, attempts, success in (
        ("SignInSuccesses", [], 1 + round(9 * busy * chance.uniform(0.6, 1.4)), 0.93),
        ("TokenRefreshSuccesses", [], round(20 * busy * chance.uniform(0.7, 1.3)), 0.99),
        ("SignUpSuccesses", [], chance.choice((0, 0, 1, 1, 2)), 0.9),
        *(
            (
                "FederationSuccesses",
                [{"Name": "IdentityProvider", "Value": provider}],
                chance.choice((0, 1, 2, 3)),
                0.95,
            )
            for provider in identity_providers
        ),
    ):
        good = sum(chance.random() < success for _ in range(attempts))
        counts = {1.0: good, 0.0: attempts - good}
        samples = {value: count for value, count in counts.items() if count}
        if samples:  # nothing happened = no datapoint, as on AWS
            yield name, third, {"Values": [*samples], "Counts": [*map(float, samples.values())]}
    if chance.random() < 0.04:
        yield "SignInThrottles", [], {"Values": [1.0], "Counts": [float(chance.randint(1, 3))]}


def ensure_database_record(stack: Stack, security_group_id: str) -> None:
    """Make the RDS instance `mimamori-local-db` in the AWS of the laptop, with this group.

    A record only, whose endpoint is where the stack's MariaDB listens; by boto3, because
    Terraform's provider waits 80 s for it.
    """
    rds = client(stack, "rds")
    try:
        [found] = rds.describe_db_instances(DBInstanceIdentifier=DATABASE_RECORD)["DBInstances"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            raise
        rds.create_db_instance(
            DBInstanceIdentifier=DATABASE_RECORD,
            DBInstanceClass="db.t4g.micro",
            Engine="mariadb",
            AllocatedStorage=20,
            DBName="service",
            Port=stack.database_port,
            MasterUsername="admin",
            MasterUserPassword=secrets.token_urlsafe(24),  # nobody signs in with it
            VpcSecurityGroupIds=[security_group_id],
            Tags=[{"Key": "Name", "Value": DATABASE_RECORD}],
        )
        return
    if [g["VpcSecurityGroupId"] for g in found["VpcSecurityGroups"]] != [security_group_id]:
        rds.modify_db_instance(
            DBInstanceIdentifier=DATABASE_RECORD,
            VpcSecurityGroupIds=[security_group_id],
            ApplyImmediately=True,
        )


def ensure_sleepers(stack: Stack) -> None:
    """Make the databases of the estate that sleep at night: `myapp-report`, and an Aurora cluster.

    The cluster `myapp` has one member, `myapp-1`. Records only, with the tag that the rest of
    local/estate has. What is there is left as it is.
    """
    rds = client(stack, "rds")
    credentials = {"MasterUsername": "admin", "MasterUserPassword": secrets.token_urlsafe(24)}
    instance: dict[str, Any] = {"DBInstanceClass": "db.t4g.medium", "Tags": [OFFICE_HOURS]}
    clusters = {one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]}
    instances = {one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]}
    if "myapp" not in clusters:
        rds.create_db_cluster(
            DBClusterIdentifier="myapp", Engine="aurora-mysql", Tags=[OFFICE_HOURS], **credentials
        )
    if "myapp-1" not in instances:
        rds.create_db_instance(
            DBInstanceIdentifier="myapp-1",
            DBClusterIdentifier="myapp",
            Engine="aurora-mysql",
            **instance,
        )
    if "myapp-report" not in instances:
        rds.create_db_instance(
            DBInstanceIdentifier="myapp-report",
            Engine="postgres",
            AllocatedStorage=20,
            **instance,
            **credentials,
        )


def put_scaling(stack: Stack, cluster: str, service: str) -> None:
    """Let an ECS service scale between 1 and 4 tasks, where it does not scale yet.

    With the tag that the service has. What is there is left as it is.
    """
    scaling = client(stack, "application-autoscaling")
    resource = f"service/{cluster}/{service}"
    found = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])
    if not found["ScalableTargets"]:
        scaling.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=resource,
            ScalableDimension="ecs:service:DesiredCount",
            MinCapacity=1,
            MaxCapacity=4,
            Tags={OFFICE_HOURS["Key"]: OFFICE_HOURS["Value"]},
        )
