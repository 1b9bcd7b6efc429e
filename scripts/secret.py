"""Fill a secret from standard input: `python scripts/secret.py ENV NAME`.

The value goes into the SSM parameter that Terraform made for it, and nowhere else.
"""

import getpass
import sys

import environment
from command import CommandError, only_one, run


def fill(env: str, name: str, value: str) -> bool:
    """Put the value into the parameter. Returns False where it was there already.

    CommandError says why it cannot be filled.
    """
    functions = environment.output(env, "functions")
    paths = {function["environment"]["PARAMETER_PATH"] for function in functions.values()}
    parameter = f"{paths.pop()}/{name}"
    ssm = environment.client(env, "ssm")
    try:
        known = ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]
    except ssm.exceptions.ParameterNotFound:
        raise CommandError(
            f"{parameter} does not exist: Terraform makes it, then it is filled"
        ) from None
    if known["Type"] != "SecureString":
        raise CommandError(f"{parameter} is no secret: its value comes from Terraform")
    if known["Value"] == value:
        return False
    ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
    return True


def main(env: str, name: str = "") -> None:
    """Read one line without showing it, and fill the secret."""
    name = only_one(name, "make secret ENV=staging NAME=MACKEREL_API_KEY")
    environment.output(env, "functions")  # before a secret is typed in
    value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read()
    value = value.rstrip("\r\n")
    if not value.strip():
        raise CommandError(f"{name}: standard input was empty, nothing changed")
    print(f"{name}: {'filled' if fill(env, name, value) else 'was this already'}")


if __name__ == "__main__":
    run(main)
