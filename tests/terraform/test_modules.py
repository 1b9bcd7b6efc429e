"""What Terraform itself can say of the tree: format, validity, and each module's own tests."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
# A colleague on any platform has to find the hash of their provider.
PLATFORMS = 14


def test_format(terraform: Any) -> None:
    for folder in ("terraform", "local/estate"):
        terraform.must("fmt", "-check", "-recursive", "-diff", module=folder)


@pytest.mark.parametrize("folder", ["terraform", "local/estate"])
def test_lock(terraform: Any, folder: str) -> None:
    lock = (terraform.folder / folder / ".terraform.lock.hcl").read_text()
    assert len(re.findall(r'"h1:', lock)) == PLATFORMS
    assert '"~> 5.100"' in lock


def test_modules_own_tests(terraform: Any, tmp_path: Path) -> None:
    """All files of all modules in one process, which reads the provider's schemas once."""
    root = terraform.folder / "together"
    (root / "tests").mkdir(parents=True)
    (root / "main.tf").touch()  # without any, init would do nothing
    shutil.copy(terraform.folder / "terraform/.terraform.lock.hcl", root)
    runs = 0
    for versions in sorted((terraform.folder / "terraform").rglob("versions.tf")):
        module = versions.parent
        files = [*module.glob("tests/**/*.tftest.hcl")]
        assert files, f"{module} has no tests"
        for file in files:
            text, here = _with_its_module(file, module, root)
            name = "-".join(file.relative_to(terraform.folder).parts)
            (root / "tests" / name).write_text(text)
            runs += here
    variables = {"TF_DATA_DIR": str(tmp_path / "data")}
    terraform.must("init", "-backend=false", "-lockfile=readonly", module="together", **variables)
    [program] = (tmp_path / "data/providers").glob("*/hashicorp/aws/*/*/terraform-provider-aws_v*")
    with terraform.one_provider(program, "together", **variables) as attached:
        printed = terraform.must("test", module="together", **attached)
    assert f"{runs} passed, 0 failed." in printed


def _with_its_module(file: Path, module: Path, root: Path) -> tuple[str, int]:
    """Return a file of tests as `root` can run it, and how many runs it has.

    Each run names its module, and the values of the module's tfvars are the file's own. Tests in
    the folder `variables` run on variables.tf alone: without a provider a refusal takes no time.
    """
    values = "".join(path.read_text() for path in module.glob("tests/*.tfvars"))
    if file.parent.name == "variables":
        alone = root / "variables" / module.relative_to(root.parent)
        alone.mkdir(parents=True, exist_ok=True)
        shutil.copy(module / "variables.tf", alone)
        module = alone
    source = f"./{os.path.relpath(module, root)}"
    text, runs = re.subn(
        r'^run ".+" \{$',
        rf'\g<0>\n  module {{\n    source = "{source}"\n  }}',
        file.read_text(),
        flags=re.MULTILINE,
    )
    if not re.search(r"^variables \{$", text, re.MULTILINE):
        text += "\nvariables {\n}\n"
    return re.sub(r"^variables \{$", lambda m: f"{m[0]}\n{values}", text, flags=re.MULTILINE), runs


def test_a_query_without_a_namespace_is_named(
    terraform: Any, provider: Path, aws: dict[str, str], tmp_path: Path
) -> None:
    nameless = terraform.folder / "functions/db_to_cloudwatch/queries/nameless.sql"
    variables = aws | {"TF_DATA_DIR": str(tmp_path)}
    backend = terraform.folder / "terraform/backend_override.tf"
    backend.write_text('terraform {\n  backend "local" {}\n}\n')
    nameless.write_text(
        '/* unit = "Count" */\nSELECT COUNT(*) AS N FROM users -- namespace = "X"\n'
    )
    try:
        with terraform.one_provider(provider, **variables) as attached:
            terraform.must("init", **attached)
            code, printed = terraform.run(
                "plan", "-var-file=environments/staging.tfvars", **attached
            )
    finally:
        nameless.unlink()
        backend.unlink()
    assert code == 1
    assert "functions/db_to_cloudwatch/queries/: nameless.sql" in " ".join(printed.split())


def test_the_placeholder_is_made_of_its_source(tmp_path: Path) -> None:
    folder = TERRAFORM / "placeholder"
    made = tmp_path / "placeholder.zip"
    subprocess.run([sys.executable, folder / "build", made], check=True)
    committed = folder / "placeholder.zip"
    assert made.read_bytes() == committed.read_bytes(), f"run {folder.name}/build"
    with zipfile.ZipFile(committed) as archive:
        names: dict[str, Any] = {}
        exec(archive.read("placeholder.py"), names)
    with pytest.raises(RuntimeError, match="not deployed yet: run make deploy"):
        names["handler"]({}, None)
