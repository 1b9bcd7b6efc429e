"""The variables that terraform, lambroll and boto3 need for an environment.

`python scripts/environment.py ENV` prints them as lines for the shell: eval "$(make -s env)".
"""

import json
import os
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError

import database
import seed
import terraform_cli
from stack import GOOGLE_AUDIENCE, GOOGLE_SERVICE_ACCOUNT, Stack, StackError

ROOT = Path(__file__).resolve().parent.parent
ESTATE_KEY = "estate.tfstate"
# A person's own account must not be mixed with the laptop's.
OF_AN_ACCOUNT = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


def backend(env: str) -> dict[str, Any]:
    """Return what environments/<env>.s3.tfbackend says: bucket, key, region…."""
    file = ROOT / f"terraform/environments/{env}.s3.tfbackend"
    if not file.is_file():
        known = sorted(f.name.split(".")[0] for f in file.parent.glob("*.s3.tfbackend"))
        raise SystemExit(f"no environment {env!r}: there are {', '.join(known)}")
    # The file's few lines of HCL, `name = value`, are TOML as well.
    return tomllib.loads(file.read_text(encoding="utf-8"))


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
    return boto3.client(service, region_name=backend(env)["region"])


def outputs(env: str, key: str | None = None) -> dict[str, Any]:
    """Return the outputs in Terraform's state; empty where nothing has been applied."""
    place = backend(env)
    try:
        found = client(env, "s3").get_object(Bucket=place["bucket"], Key=key or place["key"])
    except EndpointConnectionError:
        return {}
    except ClientError as error:
        # Expired credentials, say, are not the same as an empty account.
        if error.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchKey"):
            raise
        return {}
    return {n: output["value"] for n, output in json.loads(found["Body"].read())["outputs"].items()}


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


def main(env: str) -> None:
    """Print `export` lines."""
    found = variables(env)
    if env == "local":
        print(f"unset {' '.join(OF_AN_ACCOUNT)}")
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except StackError as error:
        raise SystemExit(str(error)) from None
