"""Every function's configuration, rendered by lambroll itself from a state like Terraform's."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAMBROLL = Path(os.environ.get("LAMBROLL", ROOT / ".local/bin/lambroll"))
JSONNETFMT = Path(os.environ.get("JSONNETFMT", LAMBROLL.with_name("jsonnetfmt")))
CONFIGURATIONS = sorted((ROOT / "lambroll").glob("*.jsonnet"))
NAMES = [path.stem for path in CONFIGURATIONS]
# What Terraform decides, because a queue derives from it, or the handler counts on it.
TIMEOUTS = {"data_export": 900, "export_mail": 30, "kpi_to_s3": 900, "s3_to_bigquery": 600}
VPC = {"subnet_ids": ["subnet-a", "subnet-c"], "security_group_ids": ["sg-1"]}


def contract(name: str, vpc: dict[str, list[str]] | None) -> dict[str, Any]:
    """What Terraform's output `functions` says of one function."""
    return {
        "name": f"mimamori-staging-{name}",
        "role_arn": f"arn:aws:iam::123456789012:role/mimamori-staging-{name}",
        "log_group": f"/aws/lambda/mimamori-staging-{name}",
        "environment": {"PARAMETER_PATH": "/staging/myApp"},
        "timeout": TIMEOUTS.get(name),
        "vpc": vpc,
    }


def render(name: str, folder: Path, functions: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    state = folder / "terraform.tfstate"
    outputs = {"functions": {"value": functions, "type": "dynamic"}}
    state.write_text(
        json.dumps({"version": 4, "serial": 1, "lineage": "x", "outputs": outputs, "resources": []})
    )
    configuration = ROOT / f"lambroll/{name}.jsonnet"
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(
        [LAMBROLL, "render", f"--function={configuration}", f"--tfstate={state}"],
        env=kept | {"AWS_REGION": "ap-northeast-1", "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("vpc", [None, VPC], ids=["no vpc", "vpc"])
@pytest.mark.parametrize("name", NAMES)
def test_it_takes_all_that_terraform_decides_from_the_contract(
    name: str, vpc: dict[str, list[str]] | None, tmp_path: Path
) -> None:
    said = contract(name, vpc)
    done = render(name, tmp_path, {name: said})
    assert done.returncode == 0, done.stderr
    function = json.loads(done.stdout)
    assert function["FunctionName"] == said["name"]
    assert function["Role"] == said["role_arn"]
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": said["log_group"]}
    assert function["Environment"] == {"Variables": said["environment"]}
    assert function.get("VpcConfig") == (
        {"SubnetIds": vpc["subnet_ids"], "SecurityGroupIds": vpc["security_group_ids"]}
        if vpc
        else None
    )
    assert "Tags" not in function  # Terraform's


@pytest.mark.parametrize("name", NAMES)
def test_the_handler_is_in_the_capabilitys_folder(name: str, tmp_path: Path) -> None:
    function = json.loads(render(name, tmp_path, {name: contract(name, None)}).stdout)
    package, module, entry = function["Handler"].split(".")
    assert entry in (ROOT / "functions" / package / f"{module}.py").read_text()
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_lambda_and_ends_before_the_next_run(name: str, tmp_path: Path) -> None:
    function = json.loads(render(name, tmp_path, {name: contract(name, None)}).stdout)
    assert 128 <= function["MemorySize"] <= 10240
    assert 1 <= function["Timeout"] <= TIMEOUTS.get(name, 60)


@pytest.mark.parametrize("name", TIMEOUTS)
def test_a_timeout_of_terraforms_is_the_one(name: str, tmp_path: Path) -> None:
    said = contract(name, None) | {"timeout": 123}
    assert json.loads(render(name, tmp_path, {name: said}).stdout)["Timeout"] == 123


@pytest.mark.parametrize("name", NAMES)
def test_before_the_first_apply_it_says_what_is_missing(name: str, tmp_path: Path) -> None:
    done = render(name, tmp_path, {})
    assert done.returncode != 0
    assert "functions" in done.stderr


def test_every_function_of_terraform_has_a_configuration() -> None:
    outputs = (ROOT / "terraform/outputs.tf").read_text()
    listed = {
        line.split("=")[0].strip() for line in outputs.splitlines() if line.endswith(".contract")
    }
    assert listed == set(NAMES)


def test_format() -> None:
    files = sorted((ROOT / "lambroll").rglob("*sonnet"))
    done = subprocess.run(
        [JSONNETFMT, "--test", "--", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run jsonnetfmt -i on them:\n{done.stdout}{done.stderr}"
