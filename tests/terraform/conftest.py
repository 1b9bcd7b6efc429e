import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

import terraform_cli
from stack import GOOGLE_AUDIENCE, GOOGLE_SERVICE_ACCOUNT, REGION, ROOT
from tests.support import running

# How a machine says where its providers are.
_FOR_PROVIDERS = ("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR")

# What the laptop's estate gives to the `local` environment; the others have it in their tfvars.
ESTATE = {
    "network": {"vpc_id": "vpc-local", "subnet_ids": ["subnet-local-a", "subnet-local-c"]},
    "cognito": {"user_pool_id": "ap-northeast-1_Local", "client_id": "local"},
    "database": {
        "host": "127.0.0.1",
        "port": 3307,
        "name": "myapp",
        "user": "mimamori",
        "ca": "off",
        "security_group_id": "sg-local",
    },
}
GOOGLE_CREDENTIALS = {
    "type": "external_account",
    "audience": GOOGLE_AUDIENCE,
    "token_url": "http://127.0.0.1:4601/google/v1/token",
    "service_account_impersonation_url": "http://127.0.0.1:4601/google/v1/projects/-/"
    f"serviceAccounts/{GOOGLE_SERVICE_ACCOUNT}:generateAccessToken",
    "credential_source": {
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com"
        "?Action=GetCallerIdentity&Version=2011-06-15"
    },
}
API_BASE_URL = "http://127.0.0.1:4600/restapis/{api_id}/{stage}/_user_request_"


@dataclass(frozen=True)
class Terraform:
    """Terraform in a copy of the tree: what it writes stays out of the tree."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str, module: str = "terraform", **environment: str) -> tuple[int, str]:
        """Return the exit code and all that was printed."""
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder / module}", *words],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        return done.returncode, done.stdout

    def must(self, *words: str, module: str = "terraform", **environment: str) -> str:
        code, printed = self.run(*words, module=module, **environment)
        assert code == 0, f"terraform {' '.join(words)}\n{printed}"
        return printed

    @contextlib.contextmanager
    def one_provider(
        self, program: Path, module: str = "terraform", **environment: str
    ) -> Iterator[dict[str, str]]:
        """Start the provider once; yield the variables with which Terraform uses it until the end.

        Terraform otherwise starts it for each walk over a configuration: twice a plan or a run of
        a test. It serves one run of Terraform after the other, not two at once, and has the
        environment and the folder that it was started with. What uses it checks neither lock nor
        version: `program` comes from an `init` that did.
        """
        with tempfile.TemporaryDirectory(prefix="") as folder:  # a socket's path must be short
            variables = self.environment | environment | {"TMPDIR": folder}
            # With -debug it would log every call.
            variables |= {"TF_LOG_SDK": "off", "TF_LOG_SDK_PROTO": "off", "TF_LOG_PROVIDER": "off"}
            log = Path(folder, "log")

            def address() -> str | None:
                found = re.search(r"TF_REATTACH_PROVIDERS='(.*)'", log.read_text())
                return found and found[1]

            command, cwd = [program, "-debug"], self.folder / module
            with running(command, variables, up=address, log=log, cwd=cwd) as reattach:
                yield environment | {"TF_REATTACH_PROVIDERS": reattach}


@dataclass(frozen=True)
class Plan:
    """A plan as `terraform show -json` has it."""

    environment: str
    json: dict[str, Any]

    def resources(self, kind: str, within: str = "") -> dict[str, dict[str, Any]]:
        """Return what is going to be made of a type, by address; of a module, say `module.x.`."""
        return {
            change["address"]: change["change"]["after"]
            for change in self.json["resource_changes"]
            if change["type"] == kind
            and change["mode"] == "managed"
            and change["address"].startswith(within)
        }

    def places(self, api: str) -> set[str]:
        """Return the paths of an API's resources, such as /exports/{job}."""
        made = self.resources("aws_api_gateway_resource", within=f"module.{api}.")
        # A resource is known by its path; its part is the last of it, below the one before.
        paths = {address.split('"')[1]: one["path_part"] for address, one in made.items()}
        assert all(path.rpartition("/")[2] == part for path, part in paths.items())
        assert all(path.rpartition("/")[0] in {*paths, ""} for path in paths)
        return {f"/{path}" for path in paths}

    def functions(self) -> list[str]:
        """Return the short names of the functions."""
        return sorted(
            address.split(".")[1]
            for address in self.resources("aws_lambda_function")
            if address.startswith("module.")
        )

    def statements(self, function: str) -> list[dict[str, Any]]:
        """Return a function's policy, with lists where a policy may have one or many."""
        address = f"module.{function}.aws_iam_role_policy.this"
        policy = json.loads(self.resources("aws_iam_role_policy")[address]["policy"])
        return [
            statement | {key: _listed(statement[key]) for key in ("Action", "Resource")}
            for statement in policy["Statement"]
        ]

    def vpc(self, function: str) -> dict[str, Any] | None:
        """Return what lambroll is going to be told of the function's VPC."""
        output = self.json["output_changes"]["functions"]
        unknown = output["after_unknown"]
        # Security groups are known after the apply only, and that makes all of `vpc` unknown.
        known = output["after"][function].get("vpc")
        return {"unknown": True} if unknown[function].get("vpc") else known

    def allowed(self, function: str, service: str) -> set[tuple[str, str]]:
        """Return what a function may do with a service: (action, resource)."""
        return {
            (action, resource)
            for statement in self.statements(function)
            for action in statement["Action"]
            for resource in statement["Resource"]
            if statement["Effect"] == "Allow" and action.startswith(f"{service}:")
        }

    def references(self, kind: str, argument: str) -> dict[str, list[str]]:
        """Return what an argument of a type's resources refers to, by the resource's address."""

        def walk(module: dict[str, Any], path: str) -> Iterator[tuple[str, list[str]]]:
            for resource in module.get("resources", []):
                if resource["type"] == kind:
                    expression = resource["expressions"].get(argument, {})
                    yield path + resource["address"], expression.get("references", [])
            for name, call in module.get("module_calls", {}).items():
                yield from walk(call["module"], f"{path}module.{name}.")

        return dict(walk(self.json["configuration"]["root_module"], ""))


def _listed(one_or_many: str | list[str]) -> list[str]:
    return [one_or_many] if isinstance(one_or_many, str) else one_or_many


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform without an account, and without anything of the shell's that could find one."""
    folder = tmp_path_factory.mktemp("tree")
    for part in ("terraform", "local/estate", "functions/db_to_cloudwatch/queries"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(".terraform"))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "TF_")) or name in _FOR_PROVIDERS
    }
    lock = ROOT / "terraform/.terraform.lock.hcl"
    return Terraform(
        folder,
        kept
        | terraform_cli.environment(folder / "data", lock=lock)
        | {"TF_IN_AUTOMATION": "1", "TF_CLI_ARGS": "-no-color", "TF_INPUT": "0"}
        | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": REGION}
        # Collecting garbage less often: a quarter less CPU, for 400 MB that end with the run.
        | {"GOGC": "400"},
    )


@pytest.fixture(scope="session")
def provider(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's program, as `init` installs it: of a version and hash that the lock allows."""
    data = tmp_path_factory.mktemp("provider")
    terraform.must("init", "-backend=false", "-lockfile=readonly", TF_DATA_DIR=str(data))
    [program] = (data / "providers" / terraform_cli.PROVIDER).glob("*/*/terraform-provider-aws_v*")
    return program


@pytest.fixture(scope="session")
def aws(ministack: str) -> dict[str, str]:
    """The environment variables that lead to this session's own AWS."""
    return {
        "AWS_ENDPOINT_URL": ministack,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
    }


@pytest.fixture(scope="session", params=["local", "staging", "production"])
def plan(
    request: pytest.FixtureRequest,
    terraform: Terraform,
    provider: Path,
    aws: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Plan:
    """The first plan of an environment, made with its two files."""
    environment = request.param
    files = terraform.folder / "terraform/environments"
    folder = tmp_path_factory.mktemp(environment)
    backend = (files / f"{environment}.s3.tfbackend").read_text()
    bucket = next(line for line in backend.splitlines() if line.startswith("bucket ")).split('"')[1]
    boto3.client(
        "s3",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    variables = aws | {"TF_DATA_DIR": str(folder / "data")}
    if environment == "local":
        variables |= {f"TF_VAR_{name}": json.dumps(value) for name, value in ESTATE.items()}
        variables["TF_VAR_api_base_url"] = API_BASE_URL
        variables["TF_VAR_google_credentials"] = json.dumps(GOOGLE_CREDENTIALS)
    file = f"environments/{environment}"
    with terraform.one_provider(provider, **variables) as attached:
        terraform.must(
            "init", "-lockfile=readonly", f"-backend-config={file}.s3.tfbackend", **attached
        )
        terraform.must(
            "plan",
            "-parallelism=30",
            f"-out={folder / 'plan'}",
            f"-var-file={file}.tfvars",
            **attached,
        )
        shown = terraform.must("show", "-json", f"{folder / 'plan'}", **attached)
    return Plan(environment, json.loads(shown))
