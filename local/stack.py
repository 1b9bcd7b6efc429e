"""The laptop's stack: the AWS of the laptop, a database and the outside world, on loopback.

A stack is one base port and one folder. Its three processes (ministack, MariaDB, sandbox) are kept
alive by one supervisor: `lifecycle` starts and stops them, `laptop` is the command for that. What
Terraform and lambroll put into them is not these modules' business.
"""

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import database
import terraform_cli

if TYPE_CHECKING:
    import pymysql

ROOT = Path(__file__).resolve().parent.parent
REGION = "ap-northeast-1"
PROGRAMS = ("ministack", "mariadb", "sandbox")

# Twilio's account on the laptop: no secret, but a setting that is kept with the secrets.
TWILIO_ACCOUNT_SID = f"AC{0x1A9:032x}"

# Google's side: the provider of identities that trusts AWS, and whom its roles may impersonate.
GOOGLE_PROJECT = "laptop-project"
GOOGLE_SERVICE_ACCOUNT = f"mimamori@{GOOGLE_PROJECT}.iam.gserviceaccount.com"
GOOGLE_AUDIENCE = (
    "//iam.googleapis.com/projects/123456789012/locations/global"
    "/workloadIdentityPools/mimamori-aws/providers/mimamori"
)

# At the start of every secret of the laptop: a test that greps for it finds a leak.
SECRET_PREFIX = "laptop-secret-"  # noqa: S105


class StackError(Exception):
    """What is wrong with the stack, and what to do, as text for a person."""


@dataclass(frozen=True)
class Secrets:
    """The random passwords and keys of one stack; kept in its secrets.json."""

    mackerel_api_key: str
    slack_bot_token: str
    twilio_auth_token: str
    database_password: str
    database_admin_password: str
    supervisor_password: str


@dataclass(frozen=True)
class Stack:
    """A stack by its base port: its ports, addresses and folder. Making one starts nothing."""

    port: int = 4600
    root: Path = ROOT

    def __post_init__(self) -> None:
        """Refuse a base port that leaves no room for the four."""
        if not 1024 <= self.port <= 65532:
            raise StackError(f"MIMAMORI_PORT takes a number from 1024 to 65532, not {self.port}")

    @classmethod
    def current(cls) -> "Stack":
        """Return the stack that MIMAMORI_PORT names, or the usual one at 4600."""
        text = os.environ.get("MIMAMORI_PORT") or "4600"
        if not text.isdecimal():
            raise StackError(f"MIMAMORI_PORT takes a number from 1024 to 65532, not {text!r}")
        return cls(port=int(text))

    @property
    def folder(self) -> Path:
        """Where all of the stack's files are; absolute."""
        return self.root / f".local/stack-{self.port}"

    @property
    def sandbox_port(self) -> int:
        """The sandbox's port."""
        return self.port + 1

    @property
    def database_port(self) -> int:
        """MariaDB's port."""
        return self.port + 2

    @property
    def supervisor_port(self) -> int:
        """The port of supervisor's own web server."""
        return self.port + 3

    @property
    def aws_url(self) -> str:
        """The laptop's AWS: AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox, which plays the outside world."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def scaling_url(self) -> str:
        """Application Auto Scaling, which the sandbox plays; why at this path, it says itself."""
        return f"{self.sandbox_url}/v2/email/application-autoscaling"

    @property
    def api_base_url(self) -> str:
        """Where an API of API Gateway is reached: Terraform's variable of this name."""
        return f"{self.aws_url}/restapis/{{api_id}}/{{stage}}/_user_request_"

    @property
    def inbox_url(self) -> str:
        """What the sandbox received."""
        return f"{self.sandbox_url}/inbox"

    @property
    def database_ca(self) -> Path:
        """The certificate, in PEM, that vouches for the database; there once the stack was up."""
        return self.folder / "tls/ca.pem"

    @property
    def state_url(self) -> str:
        """Terraform's state, as lambroll reads it."""
        return "s3://mimamori-local-tfstate/terraform.tfstate"

    def secrets(self) -> Secrets:
        """Read the stack's secrets; StackError if it was never up."""
        found = read_secrets(self.folder / "secrets.json")
        try:
            return Secrets(**found)
        except TypeError as error:
            raise StackError(f"{self.folder} has no secrets yet: run 'make up'") from error

    def environment(self) -> dict[str, str]:
        """Return the variables that `make env` exports, but for the estate's TF_VAR_*."""
        lock = self.root / "terraform/.terraform.lock.hcl"
        data_dir = terraform_cli.data_dir_of("local", self.folder)
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            # lambroll looks for S3's own variable when it reads the state.
            "AWS_ENDPOINT_URL_S3": self.aws_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "INBOX_URL": self.inbox_url,
            "LAMBROLL_TFSTATE": self.state_url,
            **terraform_cli.environment(data_dir, lock=lock),
        }

    def shell(self) -> dict[str, str]:
        """Return the environment for a command on this stack: the person's, with AWS exchanged.

        A profile, token or endpoint meant for the real AWS would otherwise reach the laptop's.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        beside = [v for v in (kept.get("NO_PROXY"), "127.0.0.1", "localhost") if v]
        return {**kept, "NO_PROXY": ",".join(beside), **self.environment()}

    def connect(self, user: Literal["admin", "reader"] = "admin") -> "pymysql.Connection[Any]":
        """Connect to the database `service`, as the one who fills it or the one who reads."""
        known = self.secrets()
        name, password = {
            "admin": (database.ADMIN, known.database_admin_password),
            "reader": (database.READER, known.database_password),
        }[user]
        return database.connect(self.database_port, name, password, self.database_ca)

    def port_of(self, program: str) -> int:
        """Return the port of one of `PROGRAMS`."""
        ports = {
            "ministack": self.port,
            "sandbox": self.sandbox_port,
            "mariadb": self.database_port,
            "supervisor": self.supervisor_port,
        }
        return ports[program]

    def log_of(self, program: str) -> Path:
        """Return the log file of one of `PROGRAMS`, or of `supervisor`."""
        return self.folder / "logs" / f"{program}.log"


def read_secrets(path: Path) -> dict[str, str]:
    """Return the secrets in a stack's secrets.json by name: those that are there and usable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    names = [f.name for f in fields(Secrets)]
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if k in names and isinstance(v, str) and v}
