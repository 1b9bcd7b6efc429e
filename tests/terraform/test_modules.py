"""What Terraform itself can say of the tree: format, validity, and each module's own tests."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
MODULES = [path.parent for path in sorted(TERRAFORM.glob("modules/*/tests"))]
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
    """All files of all modules, side by side: a run costs Terraform a second of its own."""
    folders = [*(f"terraform/modules/{module.name}" for module in MODULES), "terraform"]
    # Variables by themselves: without a provider to be started, a refusal takes no time.
    for tests in [*(terraform.folder / "terraform").rglob("tests/variables")]:
        module = tests.parent.parent
        alone = terraform.folder / "variables" / module.name
        shutil.copytree(tests, alone / "tests")
        shutil.copy(module / "variables.tf", alone)
        for values in tests.parent.glob("*.tfvars"):
            shutil.copy(values, alone / "tests")
        folders.append(str(alone.relative_to(terraform.folder)))
    data = {folder: {"TF_DATA_DIR": str(tmp_path / folder.replace("/", "-"))} for folder in folders}
    for folder in folders:
        terraform.must(
            "init", "-backend=false", "-lockfile=readonly", module=folder, **data[folder]
        )

    def test(file: Path) -> tuple[int, str]:
        folder = str(file.parent.parent.relative_to(terraform.folder))
        only = f"-filter=tests/{file.name}"
        code, printed = terraform.run("test", only, module=folder, **data[folder])
        return code, printed

    files = [path for f in folders for path in (terraform.folder / f).glob("tests/*.tftest.hcl")]
    assert len(files) >= len(folders)
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        results = list(side_by_side.map(test, files))
    failed = [printed for code, printed in results if code != 0]
    assert not failed, "\n".join(failed)
    assert not any(re.search(r"\b0 passed", printed) for _, printed in results)


def test_a_query_without_a_namespace_is_named(
    terraform: Any, aws: dict[str, str], tmp_path: Path
) -> None:
    nameless = terraform.folder / "functions/db_to_cloudwatch/queries/nameless.sql"
    variables = aws | {"TF_DATA_DIR": str(tmp_path)}
    backend = terraform.folder / "terraform/backend_override.tf"
    backend.write_text('terraform {\n  backend "local" {}\n}\n')
    nameless.write_text(
        '/* unit = "Count" */\nSELECT COUNT(*) AS N FROM users -- namespace = "X"\n'
    )
    try:
        terraform.must("init", **variables)
        code, printed = terraform.run("plan", "-var-file=environments/staging.tfvars", **variables)
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
