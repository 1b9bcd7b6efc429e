"""Terraform's environment: a mirror is used where there is one, and nobody's settings are lost."""

import platform
from pathlib import Path

import pytest

import terraform_cli
from terraform_cli import PROVIDER, environment, mirror_config

LOCK = 'provider "registry.terraform.io/hashicorp/aws" {\n  version     = "5.100.0"\n}\n'


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    return [f"{tmp_path}/opt/*"]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    system = f"{platform.system().lower()}_{terraform_cli._architecture()}"
    folder = tmp_path / "opt/some add-ons"
    (folder / PROVIDER / "5.100.0" / system).mkdir(parents=True)
    return folder


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home")}


def test_no_mirror(tmp_path: Path, places: list[str], shell: dict[str, str]) -> None:
    assert mirror_config(tmp_path, shell=shell, places=places) is None


@pytest.mark.parametrize("version", [None, "5.100.0"])
def test_a_mirror_is_used(
    tmp_path: Path, places: list[str], shell: dict[str, str], mirror: Path, version: str | None
) -> None:
    lock = tmp_path / "lock.hcl"
    if version:
        lock.write_text(LOCK, encoding="utf-8")
    shell["TF_CLI_CONFIG_FILE"] = str(tmp_path / "missing")
    config = mirror_config(tmp_path / "x", lock=lock, shell=shell, places=places)
    assert config
    text = config.read_text(encoding="utf-8")
    assert f'path    = "{mirror}"' in text
    assert text.count(f'["{PROVIDER}"]') == 2


@pytest.mark.usefixtures("mirror")
def test_a_mirror_without_the_locked_version_is_not(
    tmp_path: Path, places: list[str], shell: dict[str, str]
) -> None:
    lock = tmp_path / "lock.hcl"
    lock.write_text(LOCK.replace("5.100.0", "5.99.0"), encoding="utf-8")
    assert mirror_config(tmp_path, lock=lock, shell=shell, places=places) is None


@pytest.mark.usefixtures("mirror")
def test_own_settings_stay(tmp_path: Path, places: list[str], shell: dict[str, str]) -> None:
    own = tmp_path / "own.rc"
    own.touch()
    assert (
        mirror_config(tmp_path, shell={**shell, "TF_CLI_CONFIG_FILE": str(own)}, places=places)
        is None
    )
    Path(shell["HOME"], ".terraformrc").touch()
    assert mirror_config(tmp_path, shell=shell, places=places) is None


def test_environment(tmp_path: Path) -> None:
    own = tmp_path / "own.rc"
    own.touch()
    assert environment(tmp_path, shell={"TF_CLI_CONFIG_FILE": str(own)}) == {
        "TF_DATA_DIR": str(tmp_path),
        "CHECKPOINT_DISABLE": "1",
        "TF_INPUT": "0",
    }
