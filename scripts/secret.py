"""Fill a secret from standard input: `python scripts/secret.py ENV NAME`.

The value goes into the SSM parameter that Terraform made for it, and nowhere else.
"""

import getpass
import sys

from botocore.exceptions import ClientError

import environment


class SecretError(Exception):
    """The secret was not filled; the message says why."""


def fill(env: str, name: str, value: str) -> bool:
    """Put the value into the parameter. Returns False where it was there already."""
    functions = environment.outputs(env).get("functions", {})
    paths = {function["environment"]["PARAMETER_PATH"] for function in functions.values()}
    if not paths:
        raise SecretError(f"nothing is applied in {env} yet: make apply ENV={env}")
    parameter = f"{paths.pop()}/{name}"
    ssm = environment.client(env, "ssm")
    try:
        known = ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]
    except ssm.exceptions.ParameterNotFound:
        raise SecretError(
            f"{parameter} does not exist: Terraform makes it, then it is filled"
        ) from None
    if known["Type"] != "SecureString":
        raise SecretError(f"{parameter} is no secret: its value comes from Terraform")
    if known["Value"] == value:
        return False
    ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
    return True


def main(env: str, name: str = "") -> int:
    """Read one line without showing it, and fill the secret."""
    if not name:
        raise SystemExit("say which: make secret ENV=staging NAME=MACKEREL_API_KEY")
    value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read()
    value = value.rstrip("\r\n")
    if not value.strip():
        raise SystemExit(f"{name}: standard input was empty, nothing changed")
    try:
        print(f"{name}: {'filled' if fill(env, name, value) else 'was this already'}")
    except (SecretError, ClientError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
