"""What a stack's supervisor is told: the three programs, and the environment they start with."""

import hashlib
import json
import os
import sys
from pathlib import Path

import database
import processes
from stack import (
    GOOGLE_AUDIENCE,
    GOOGLE_PROJECT,
    GOOGLE_SERVICE_ACCOUNT,
    REGION,
    ROOT,
    TWILIO_ACCOUNT_SID,
    Stack,
    StackError,
)
from supervisor_api import USER

MACKEREL_SERVICES = ("ore-no-service",)
GOOGLE_ROLES = "mimamori-local-s3_to_bigquery"
# Of functions/phone_escalation/schema/sample.sql.
TWILIO_NUMBER = "+815000000000"
PHONES = {
    "+819000000001": "佐藤 葵",
    "+819000000002": "鈴木 蓮",
    "+819000000003": "Emma Tanaka",
    "+819000000091": "訓練用 1",
    "+819000000092": "訓練用 2",
}
SANDBOX = ROOT / "local/sandbox"


def base_environment(stack: Stack) -> dict[str, str]:
    """Return what every process of the stack starts with; nothing of the person's shell.

    A profile, a token, a proxy or a PYTHONPATH would reach the functions, which inherit it.
    """
    return {
        processes.MARKER: str(stack.folder),
        "HOME": str(stack.folder / "home"),
        "TMPDIR": str(stack.folder / "tmp"),
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",  # as on AWS Lambda
        "NO_PROXY": "127.0.0.1,localhost",
    }


def aws_command(port: int, root: Path = ROOT) -> list[str]:
    """Return the command that serves the laptop's AWS on 127.0.0.1:`port`.

    It also reads the environment: GATEWAY_PORT has to be the same port.
    """
    python = root / ".local/ministack/bin/python"
    return [str(python), *_served(root / "local/aws", "mimamori_aws:app", port)]


def sandbox_command(port: int) -> list[str]:
    """Return the command that serves the sandbox on 127.0.0.1:`port`; it reads SANDBOX_*."""
    return [sys.executable, *_served(SANDBOX.parent, "sandbox.app:app", port), "log"]


def _served(folder: Path, app: str, port: int) -> list[str]:
    # -P: a program's working folder is no place to import from.
    return ["-P", str(ROOT / "local/serve.py"), str(folder), app, str(port)]


def configuration(stack: Stack) -> str:
    """Return the text of supervisord.conf: the three programs, each with its environment."""
    known = stack.secrets()
    ministack = {
        "AUTH": "true",
        "GATEWAY_PORT": str(stack.port),
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(stack.folder / "ministack/s3"),
        "STATE_DIR": str(stack.folder / "ministack/state"),
        # Listeners on ports of their own, which two stacks would fight for.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Never a person's Docker: ministack clears away the containers that it finds there.
        "DOCKER_HOST": f"unix://{stack.folder}/ministack/no-docker.sock",
        # The functions inherit these.
        "PYTHONPATH": str(stack.root / "local/lambda_runtime"),
        "AWS_ENDPOINT_URL_CLOUDWATCH": stack.sandbox_url,
        "MACKEREL_APIBASE": stack.sandbox_url,
        "SLACK_API_BASE": f"{stack.sandbox_url}/api/",
        "TWILIO_API_BASE": stack.sandbox_url,
        "BIGQUERY_API_BASE": stack.sandbox_url,
        "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": stack.scaling_url,
        # A state machine's pauses of minutes are seconds here.
        "SFN_WAIT_SCALE": "0.02",
    }
    sandbox = {
        "SANDBOX_DIR": str(stack.folder / "sandbox"),
        # Every stack draws with the fonts that one of them has listed.
        "MPLCONFIGDIR": str(stack.root / ".local/cache/matplotlib"),
        "SANDBOX_AWS_ENDPOINT": stack.aws_url,
        "SANDBOX_MACKEREL_API_KEY": known.mackerel_api_key,
        "SANDBOX_MACKEREL_SERVICES": ",".join(MACKEREL_SERVICES),
        "SANDBOX_SLACK_BOT_TOKEN": known.slack_bot_token,
        "SANDBOX_TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
        "SANDBOX_TWILIO_AUTH_TOKEN": known.twilio_auth_token,
        "SANDBOX_TWILIO_NUMBERS": TWILIO_NUMBER,
        "SANDBOX_PHONES": json.dumps(
            [{"number": number, "name": name} for number, name in PHONES.items()],
            ensure_ascii=False,
        ),
        "SANDBOX_GOOGLE_AUDIENCE": GOOGLE_AUDIENCE,
        "SANDBOX_GOOGLE_ROLES": GOOGLE_ROLES,
        "SANDBOX_GOOGLE_SERVICE_ACCOUNT": GOOGLE_SERVICE_ACCOUNT,
        "SANDBOX_GOOGLE_PROJECT": GOOGLE_PROJECT,
        # Changed code is a changed configuration, so the next start restarts the sandbox.
        "SANDBOX_CODE": _digest(SANDBOX),
    }
    user = "user = root\n" if os.geteuid() == 0 else ""  # it warns of running as root unasked
    parts = [
        f"""[supervisord]
nodaemon = false
pidfile = %(here)s/supervisord.pid
logfile = %(here)s/logs/supervisor.log
logfile_maxbytes = 1MB
logfile_backups = 1
childlogdir = %(here)s/logs
umask = 077
{user}
[inet_http_server]
port = 127.0.0.1:{stack.supervisor_port}
username = {USER}
password = {known.supervisor_password}

[supervisorctl]
serverurl = http://127.0.0.1:{stack.supervisor_port}
username = {USER}
password = {known.supervisor_password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
""",
        _program("ministack", aws_command(stack.port, stack.root), ministack, stop_seconds=5),
        # Time to write back what it holds in memory.
        _program("mariadb", database.command(), {}, stop_seconds=20),
        _program("sandbox", sandbox_command(stack.sandbox_port), sandbox, stop_seconds=5),
    ]
    return "\n".join(parts)


def _program(
    name: str, command: list[str], environment: dict[str, str], *, stop_seconds: int
) -> str:
    variables = ",".join(f"{key}={_quote(value)}" for key, value in environment.items())
    return f"""[program:{name}]
command = {" ".join(_quote(word) for word in command)}
directory = %(here)s
environment = {variables}
autostart = true
autorestart = true
startsecs = 1
startretries = 2
stopsignal = TERM
stopwaitsecs = {stop_seconds}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = %(here)s/logs/{name}.log
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 1
"""


def _quote(word: str) -> str:
    """`word` as supervisor reads it back: in quotes, its own % signs doubled."""
    mark = "'" if '"' in word else '"'
    if any(character in word for character in f"{mark}\\\n") or " ;" in word:
        raise StackError(f"The project's folder has a name that supervisor cannot take: {word}")
    return mark + word.replace("%", "%%") + mark


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]
