"""Bring the laptop's stack up: processes, estate, Terraform, data, secrets, functions.

On a stack that is up it changes nothing and says so.
"""

import contextlib
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import deploy
import environment
import lifecycle
import secret
import seed
from build import functions
from command import CommandError, run
from environment import ROOT
from stack import TWILIO_ACCOUNT_SID, Stack, StackError
from steps import say, step


class TerraformError(CommandError):
    """Terraform's own words."""


Shell = dict[str, str]


def terraform(folder: str, *arguments: str, shell: Shell) -> str:
    """Run terraform in a folder of the project; returns what it prints, as does an error."""
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        cwd=ROOT,
        # GOGC: the provider's schemas are collected less often, which saves a tenth of the CPU.
        env={"GOGC": "400"} | shell | {"TF_IN_AUTOMATION": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TerraformError(f"terraform {arguments[0]} in {folder}:\n{done.stdout}")
    return done.stdout


def apply(folder: str, backend: str, *flags: str, shell: Shell) -> bool:
    """Initialise and apply. Returns whether that changed anything."""
    init = ("init", "-input=false", "-no-color", "-reconfigure", "-lockfile=readonly")
    terraform(folder, *init, f"-backend-config={backend}", shell=shell)
    # Most of an apply is the provider's waiting: a queue or a lifecycle rule holds up nothing else.
    wanted = ("apply", "-input=false", "-no-color", "-auto-approve", "-parallelism=30")
    return "No changes." not in terraform(folder, *wanted, *flags, shell=shell)


def up(stack: Stack) -> bool:
    """Bring everything up, side by side what can be; returns whether anything changed."""
    with ThreadPoolExecutor() as side_by_side:
        tools = side_by_side.submit(build_tools)
        zips = side_by_side.submit(build_zips)
        changed = lifecycle.start(stack, say)
        rows = side_by_side.submit(fill_database, stack)
        changed |= provide_estate(stack)
        changed |= provision()
        changed |= fill_secrets(stack)
        for needed in (rows, tools):
            needed.result()
        folders = zips.result()
    with step(f"lambroll deploy of {len(functions())} functions") as words:
        results = deploy.release_all(folders, environment.shell("local"))
        counts = Counter(results.values())
        words.append(", ".join(f"{count} {result}" for result, count in counts.items()))
    return changed or any(result != deploy.UNCHANGED for result in results.values())


def build_tools() -> None:
    """Build lambroll where it is missing: by far the longest of the first time."""
    with step("lambroll (built by Go, takes minutes the first time)"):
        done = subprocess.run(
            ["scripts/install", "tools"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(done.stderr.strip())


def build_zips() -> dict[str, Path]:
    """Put the contents of all zips together, with the libraries that they carry."""
    with step("Contents of the zips"):
        return deploy.build_all(functions())


def fill_database(stack: Stack) -> None:
    """Fill the customer's database, and the tables of the phone escalation."""
    with step("Rows of the customer's database") as words:
        rows = seed.seed(stack)
        seed.seed_phones(stack)
        words.append(", ".join(f"{count:,} {table}" for table, count in rows.items()))


def provide_estate(stack: Stack) -> bool:
    """Make what a customer has before Mimamori comes. Returns whether anything changed."""
    with step("State bucket and the customer's estate (VPC, Cognito, databases)") as words:
        ensure_bucket("local")
        shell = environment.shell("local")
        shell["TF_DATA_DIR"] += "-estate"
        grown = apply("local/estate", "backend.s3.tfbackend", shell=shell)
        estate = environment.outputs("local", environment.ESTATE_KEY)
        seed.ensure_database_record(stack, estate["database_security_group_id"])
        seed.ensure_sleepers(stack)
        seed.put_scaling(stack, "myapp", "api")
        words.append("applied" if grown else "no changes")
    return grown


def provision() -> bool:
    """Apply Mimamori's Terraform. Returns whether anything changed."""
    with step("terraform apply") as words:
        files = ("environments/local.s3.tfbackend", "-var-file=environments/local.tfvars")
        applied = apply("terraform", *files, shell=environment.shell("local"))
        words.append("applied" if applied else "no changes")
    return applied


def fill_secrets(stack: Stack) -> bool:
    """Fill the secrets that Terraform made places for. Returns whether anything changed."""
    known = stack.secrets()
    filled = [
        secret.fill("local", name, value)
        for name, value in (
            ("MACKEREL_API_KEY", known.mackerel_api_key),
            ("SLACK_BOT_TOKEN", known.slack_bot_token),
            ("DATABASE_PASSWORD", known.database_password),
            ("TWILIO_ACCOUNT_SID", TWILIO_ACCOUNT_SID),
            ("TWILIO_AUTH_TOKEN", known.twilio_auth_token),
        )
    ]
    return any(filled)


def ensure_bucket(env: str) -> None:
    """Make the bucket that holds Terraform's state, where it is missing."""
    place = environment.backend(env)
    s3 = environment.client(env, "s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(
            Bucket=place["bucket"],
            CreateBucketConfiguration={"LocationConstraint": place["region"]},
        )


def main() -> None:
    """Bring the stack up and say where it is."""
    stack = Stack.current()
    changed = up(stack)
    print("The stack is up." if changed else "The stack was up already; nothing changed.")
    print(f"AWS {stack.aws_url}   inbox {stack.sandbox_url}   next: make demo, make status")


if __name__ == "__main__":
    run(main)
