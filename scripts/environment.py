"""An environment: the variables that terraform, lambroll and boto3 need, and what is applied there.

`python scripts/environment.py ENV` prints the variables as lines for the shell: eval "$(make -s
env)". `python scripts/environment.py ENV signed-in` does so only where the credentials are good and
the bucket of the state is there, so that what follows can begin.
"""

import json
import os
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

import build
import database
import seed
import terraform_cli
from command import CommandError, run
from stack import GOOGLE_AUDIENCE, GOOGLE_SERVICE_ACCOUNT, Stack

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "terraform/environments"
ESTATE_KEY = "estate.tfstate"
# A person's own account must not be mixed with the laptop's.
OF_AN_ACCOUNT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


def backend(env: str) -> dict[str, Any]:
    """Return what environments/<env>.s3.tfbackend says: bucket, key, region….

    CommandError where that is not an environment, or half of one.
    """
    known = {file.name.split(".")[0] for file in FOLDER.glob("*.s3.tfbackend")}
    if env not in known:
        raise CommandError(f"no environment {env!r}: there are {', '.join(sorted(known))}")
    file, settings = FOLDER / f"{env}.s3.tfbackend", FOLDER / f"{env}.tfvars"
    if not settings.is_file():
        raise CommandError(f"{env} has no settings: write {_shown(settings)}")
    try:
        # The file's few lines of HCL, `name = value`, are TOML as well.
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f'{_shown(file)} takes lines of name = "value": {error}') from None
    if missing := [name for name in ("bucket", "key", "region") if not found.get(name)]:
        raise CommandError(f"{_shown(file)} does not say {', '.join(missing)}")
    return found


def variables(env: str) -> dict[str, str]:
    """Return the variables of one environment."""
    state = backend(env)
    common = {
        "ENV": env,
        "PATH": f"{ROOT / '.local/bin'}{os.pathsep}{os.environ['PATH']}",
        "AWS_REGION": state["region"],
        "AWS_DEFAULT_REGION": state["region"],
        "LAMBROLL_TFSTATE": f"s3://{state['bucket']}/{state['key']}",
    }
    if env == "local":
        stack = Stack.current()
        return common | stack.environment() | _estate(stack)
    lock = ROOT / "terraform/.terraform.lock.hcl"
    data_dir = terraform_cli.data_dir_of(env, Stack.current().folder)
    return common | terraform_cli.environment(data_dir, lock=lock)


def shell(env: str) -> dict[str, str]:
    """Return a whole environment for a command: the person's own, with the variables above."""
    base = Stack.current().shell() if env == "local" else dict(os.environ)
    return base | variables(env)


def client(env: str, service: str) -> Any:
    """Return a boto3 client of the environment's AWS, e.g. `client("staging", "ssm")`."""
    if env == "local":
        return seed.client(Stack.current(), service)
    return boto3.Session().client(service, region_name=backend(env)["region"])


def outputs(env: str, key: str | None = None) -> dict[str, Any]:
    """Return the outputs in Terraform's state; empty where nothing has been applied.

    botocore's errors are raised: a stack that does not run, or expired credentials, say, are not
    the same as an empty account.
    """
    place = backend(env)
    try:
        found = client(env, "s3").get_object(Bucket=place["bucket"], Key=key or place["key"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchKey"):
            raise
        return {}
    return {n: output["value"] for n, output in json.loads(found["Body"].read())["outputs"].items()}


def output(env: str, name: str) -> dict[str, Any]:
    """Return one output in Terraform's state; CommandError where it is not there or empty."""
    found = outputs(env)
    if not found:
        raise CommandError(f"nothing is applied in {env} yet: {how_to_apply(env)}")
    if not found.get(name):
        raise CommandError(f"{name} is not applied in {env} yet: {how_to_apply(env)}")
    value: dict[str, Any] = found[name]
    return value


def functions(env: str, names: str = "") -> dict[str, dict[str, Any]]:
    """Return what Terraform says of each function, by name: of those named, or of all applied.

    `names` has blanks between. What it says: name, role_arn, log_group, environment, timeout, vpc.
    CommandError names those that are not in this tree, or not applied. Of all functions, those that
    are not applied are named on standard error.
    """
    asked = build.chosen(names)
    there = output(env, "functions")
    if missing := [name for name in asked if name not in there]:
        said = f"not applied in {env} yet: {', '.join(missing)} ({how_to_apply(env)})"
        if names.split():
            raise CommandError(said)
        print(said, file=sys.stderr)
    return {name: there[name] for name in asked if name in there}


def how_to_apply(env: str) -> str:
    """Return the command that makes an environment's infrastructure."""
    return "make up" if env == "local" else f"make apply ENV={env}"


def check_signed_in(env: str) -> None:
    """Look into the bucket of the state; CommandError where there is none, or botocore says why."""
    place = backend(env)
    s3 = client(env, "s3")
    try:
        s3.list_objects_v2(Bucket=place["bucket"], Prefix=place["key"], MaxKeys=1)
    except s3.exceptions.NoSuchBucket:
        if env == "local":
            raise CommandError("the laptop's stack is not finished: make up") from None
        file = _shown(FOLDER / f"{env}.s3.tfbackend")
        raise CommandError(
            f"no bucket {place['bucket']!r} for the state: make it, or name another in {file}"
        ) from None


def _shown(file: Path) -> str:
    return f"terraform/environments/{file.name}"


def _estate(stack: Stack) -> dict[str, str]:
    """Return what the laptop's estate is called this time, as TF_VAR_*; empty before it stands."""
    estate = outputs("local", ESTATE_KEY)
    if not estate:
        return {}
    inputs: dict[str, Any] = {
        "network": estate["network"],
        "cognito": estate["cognito"],
        "database": {
            "host": "127.0.0.1",
            "port": stack.database_port,
            "name": database.NAME,
            "user": database.READER,
            "ca": stack.database_ca.read_text(encoding="ascii"),
            "security_group_id": estate["database_security_group_id"],
        },
    }
    found = {f"TF_VAR_{name}": json.dumps(value) for name, value in inputs.items()}
    return found | {
        "TF_VAR_api_base_url": stack.api_base_url,
        "TF_VAR_google_credentials": json.dumps(_google(stack)),
    }


def _google(stack: Stack) -> dict[str, Any]:
    """Return what gcloud's create-cred-config would write for the laptop's Google."""
    google = f"{stack.sandbox_url}/google/v1"
    account = f"{google}/projects/-/serviceAccounts/{GOOGLE_SERVICE_ACCOUNT}"
    return {
        "type": "external_account",
        "audience": GOOGLE_AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{google}/token",
        "service_account_impersonation_url": f"{account}:generateAccessToken",
        "credential_source": {
            "environment_id": "aws1",
            # Google asks there; the laptop's asks the laptop's AWS instead.
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com"
            "?Action=GetCallerIdentity&Version=2011-06-15",
        },
    }


def main(env: str, signed_in: str = "") -> None:
    """Print `export` lines."""
    found = variables(env)
    if signed_in:
        check_signed_in(env)
    if env == "local":
        print(f"unset {' '.join(OF_AN_ACCOUNT)}")
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    run(main)
