"""What the bench of exports runs against: a MariaDB of its own, an AWS, and the programs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pymysql
import requests

import build
import database
import supervision
from bench import exports_sink
from stack import REGION, Stack

RIVALS = build.ROOT / ".local/rivals"
BUCKET = TABLE = "bench-exports"
COLUMNS = "id, name, email, city, balance, created_at"
PEOPLE = """CREATE TABLE people (
    id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(60) NOT NULL, email VARCHAR(120) NOT NULL,
    city VARCHAR(60) NOT NULL, balance DECIMAL(12, 2), created_at DATETIME NOT NULL)"""


@dataclass(frozen=True)
class Figures:
    """One reading. CPU is in seconds: `cpu` the reader's, `server` the database's."""

    rows: int
    seconds: float
    cpu: float
    server: float
    peak: int  # bytes

    @property
    def speed(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


@dataclass(frozen=True)
class Place:
    """The database, and the AWS that jobs run against."""

    server: psutil.Process
    address: Mapping[str, Any]
    aws: Mapping[str, str]  # environment variables
    sink: str  # an S3 that throws away

    def read(self, reader: str, *, sink: bool = False, **given: Any) -> Figures:
        """Let one of the readers read once, in a new process."""
        ours = reader in ("keys", "lines", "plain", "job")
        python = Path(sys.executable) if ours else RIVALS / "bin/python"
        variables = {"PATH": os.environ["PATH"], **self.aws}
        if ours:
            variables["PYTHONPATH"] = str(build.FUNCTIONS)
        if sink:
            variables["AWS_ENDPOINT_URL_S3"] = self.sink
        before = self._cpu()
        done = subprocess.run(
            [python, "-m", "bench.exports_readers", reader],
            cwd=build.ROOT,
            env=variables,
            input=json.dumps({**self.address, **given}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{reader}: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        return Figures(**found, server=self._cpu() - before)

    def forget(self, message: Mapping[str, Any]) -> None:
        """Remove a job's file, so that the AWS does not fill the machine's memory."""
        name = f"{message['query']}.csv" + (".gz" if message["gzip"] else "")
        client("s3", self.aws["AWS_ENDPOINT_URL"]).delete_object(
            Bucket=BUCKET, Key=f"exports/{message['job_id']}/{name}"
        )

    def _cpu(self) -> float:
        times = self.server.cpu_times()
        return float(times.user + times.system)


def client(service: str, url: str) -> Any:
    """Return the boto3 client of a service at an address on the laptop."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def made(rows: int) -> str:
    """Return a statement that gives so many rows of 6 columns, some 80 bytes each."""
    return f"""SELECT seq AS id, CONCAT('利用者 ', seq) AS name, CONCAT('u', seq, '@a.jp') AS email,
        ELT(1 + MOD(seq, 5), 'Tokyo', '京都', 'Nara "N"', 'Otaru', 'Ise, Mie') AS city,
        IF(MOD(seq, 10), CAST(MOD(seq * 1.37, 100000) AS DECIMAL(12, 2)), NULL) AS balance,
        TIMESTAMP '2020-01-01 00:00:00' + INTERVAL seq SECOND AS created_at
        FROM seq_1_to_{rows}"""


@contextmanager
def opened(stack: Stack, rows: int) -> Iterator[Place]:
    """Start all of it, the table `people` filled; the ports are beside the stack's own four."""
    _make_rivals()
    folder = stack.root / ".local/exports"
    folder.mkdir()
    with (
        _database(folder, stack.port + 4, rows) as (server, address),
        _aws(folder, stack.port + 5, address) as variables,
        exports_sink.serving(stack.port + 6) as sink,
    ):
        yield Place(server, address, variables, sink)


def _make_rivals() -> None:
    """Make the environment of what others would write, or bring it up to date."""
    folder = RIVALS.resolve()  # it outlives this copy of the tree
    if not (folder / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    lock = build.ROOT / "requirements/bench.txt"
    python = ("--python", folder / "bin/python")
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "sync", "--quiet", "--require-hashes"),
            *(*python, lock),
        ],
        env=os.environ | {"UV_CACHE_DIR": str(build.ROOT / ".local/cache/uv")},
        check=True,
    )


@contextmanager
def _database(
    folder: Path, port: int, rows: int
) -> Iterator[tuple[psutil.Process, dict[str, Any]]]:
    database.ensure_certificates(folder / "tls")
    database.write_settings(folder, port, "bench", "bench")
    database.ensure_data(folder / "database", dict(os.environ))
    command = [
        *database.command(),
        # All of the table is in memory then, and nothing is left to write when it is read.
        *("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M"),
    ]
    ca = str(folder / "tls/ca.pem")
    address: dict[str, Any] = {"host": "127.0.0.1", "port": port, "database": database.NAME}
    with _process(command, dict(os.environ), folder) as server:
        filling = _patient(
            lambda: pymysql.connect(
                **address,
                user=database.ADMIN,
                password="bench",
                charset="utf8mb4",
                autocommit=True,
                ssl_ca=ca,
            )
        )
        with filling, filling.cursor() as cursor:
            for statement in (PEOPLE, f"INSERT INTO people {made(rows)}", "ANALYZE TABLE people"):
                cursor.execute(statement)
        yield (
            psutil.Process(server.pid),
            {
                **address,
                "user": database.READER,
                "password": "bench",
                "ca": ca,
            },
        )


@contextmanager
def _aws(folder: Path, port: int, address: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Give the variables of an AWS that has what data_export stands on."""
    url = f"http://127.0.0.1:{port}"
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "AUTH": "true",
        "GATEWAY_PORT": str(port),
    }
    with _process(supervision.aws_command(port), environment, folder):
        _patient(lambda: requests.get(f"{url}/_ministack/health", timeout=5).raise_for_status())
        client("s3", url).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        client("dynamodb", url).create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        values = {
            "HOST": address["host"],
            "PORT": str(address["port"]),
            "NAME": address["database"],
            "USER": address["user"],
            "PASSWORD": address["password"],
            "CA": Path(address["ca"]).read_text(encoding="ascii"),
        }
        ssm = client("ssm", url)
        for name, value in values.items():
            ssm.put_parameter(Name=f"/bench/myApp/DATABASE_{name}", Value=value, Type="String")
        yield variables | {
            "EXPORT_TABLE": TABLE,
            "EXPORT_BUCKET": BUCKET,
            "PARAMETER_PATH": "/bench/myApp",
            "LINK_DAYS": "7",
            "LEASE_SECONDS": "60",
        }


@contextmanager
def _process(
    command: list[str], environment: dict[str, str], folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    except BaseException:
        print((folder / "log").read_text(errors="replace")[-2000:])
        raise
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _patient(call: Callable[[], Any]) -> Any:
    """Call until it succeeds, for a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except (OSError, pymysql.OperationalError):  # those of requests are the first
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
