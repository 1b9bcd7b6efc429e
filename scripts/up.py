"""Bring the laptop's stack up: processes, estate, Terraform, data, secrets, functions.

On a stack that is up it changes nothing and says so.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

import deploy
import environment
import lifecycle
import secret
import seed
from build import functions
from environment import ROOT
from stack import TWILIO_ACCOUNT_SID, Stack, StackError
from steps import step


class TerraformError(Exception):
    """Terraform's own words."""


Shell = dict[str, str]


def terraform(folder: str, *arguments: str, shell: Shell, ok: tuple[int, ...] = (0,)) -> int:
    """Run terraform in a folder of the project; what it prints is kept for an error."""
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        cwd=ROOT,
        env=shell | {"TF_IN_AUTOMATION": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode not in ok:
        raise TerraformError(f"terraform {arguments[0]} in {folder}:\n{done.stdout}")
    return done.returncode


def apply(folder: str, backend: str, *flags: str, shell: Shell) -> bool:
    """Initialise, plan, and apply where the plan has changes. Returns whether it had."""
    plan = str(Path(shell["TF_DATA_DIR"]) / "up.tfplan")
    init = ("init", "-input=false", "-no-color", "-reconfigure", "-lockfile=readonly")
    terraform(folder, *init, f"-backend-config={backend}", shell=shell)
    common = ("-input=false", "-no-color")
    made = ("plan", *common, "-detailed-exitcode", f"-out={plan}", *flags)
    try:
        if terraform(folder, *made, shell=shell, ok=(0, 2)) == 0:
            return False
        terraform(folder, "apply", *common, plan, shell=shell)
    finally:
        Path(plan).unlink(missing_ok=True)
    return True


def up(stack: Stack) -> bool:
    """Bring everything up; returns whether anything changed."""
    changed = lifecycle.start(stack)
    with step("State bucket and the customer's estate (VPC, Cognito, database)") as words:
        ensure_bucket("local")
        shell = environment.shell("local")
        data_dir = f"{shell['TF_DATA_DIR']}-estate"
        grown = apply(
            "local/estate", "backend.s3.tfbackend", shell=shell | {"TF_DATA_DIR": data_dir}
        )
        estate = environment.outputs("local", environment.ESTATE_KEY)
        seed.ensure_database_record(stack, estate["database_security_group_id"])
        seed.ensure_sleepers(stack)
        seed.put_scaling(stack, "myapp", "api")
        rows = seed.seed(stack)
        seed.seed_phones(stack)
        words.append(", ".join(f"{count:,} {table}" for table, count in rows.items()))
    changed |= grown
    with step("terraform apply") as words:
        shell = environment.shell("local")
        files = ("environments/local.s3.tfbackend", "-var-file=environments/local.tfvars")
        applied = apply("terraform", *files, shell=shell)
        words.append("applied" if applied else "no changes")
    changed |= applied
    known = stack.secrets()
    for name, value in (
        ("MACKEREL_API_KEY", known.mackerel_api_key),
        ("SLACK_BOT_TOKEN", known.slack_bot_token),
        ("DATABASE_PASSWORD", known.database_password),
        ("TWILIO_ACCOUNT_SID", TWILIO_ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", known.twilio_auth_token),
    ):
        changed |= secret.fill("local", name, value)
    with step(f"lambroll deploy of {len(functions())} functions") as words:
        results = deploy.deploy_all(functions(), environment.shell("local"))
        words.append(", ".join(f"{name} {result}" for name, result in results.items()))
    return changed or any(result != deploy.UNCHANGED for result in results.values())


def ensure_bucket(env: str) -> None:
    """Make the bucket that holds Terraform's state, where it is missing."""
    place = environment.backend(env)
    s3 = environment.client(env, "s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(
            Bucket=place["bucket"],
            CreateBucketConfiguration={"LocationConstraint": place["region"]},
        )


def main() -> int:
    """Bring the stack up and say where it is."""
    stack = Stack.current()
    try:
        changed = up(stack)
    except (StackError, TerraformError, deploy.DeployError, secret.SecretError) as error:
        print(error, file=sys.stderr)
        return 1
    print("The stack is up." if changed else "The stack was up already; nothing changed.")
    print(f"AWS {stack.aws_url}   inbox {stack.sandbox_url}   next: make demo, make status")
    return 0


if __name__ == "__main__":
    sys.exit(main())
