import email
import subprocess
import zipfile

import pytest

import build

ROOT = build.ROOT
MOST_BYTES = 10_000_000
MEANT_FOR_PEOPLE = {"events", "schema", "tests", "test", "__pycache__", "bin"}
COMPILED = {".so", ".pyd", ".dylib", ".dll", ".exe", ".pyc", ".pyo", ".a", ".o"}


def test_is_small(packaged):
    assert packaged.zip.stat().st_size < MOST_BYTES


def test_imports_with_boto3_alone_beside_it(packaged, tmp_path):
    done = subprocess.run(
        [
            *(build.BARE_PYTHON, "-I", "-B", "-W", "error", ROOT / "scripts/import_check.py"),
            *(packaged.folder, f"{packaged.capability}.{packaged.module}.handler"),
        ],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_lambda_may_read_all_of_it(packaged):
    with zipfile.ZipFile(packaged.zip) as archive:
        for info in archive.infolist():
            assert info.external_attr >> 16 & 0o777 == (0o755 if info.is_dir() else 0o644), info


def test_holds_common_its_capability_and_libraries_only(packaged):
    libraries = set()
    for about in packaged.folder.glob("*.dist-info"):
        metadata = email.message_from_string((about / "METADATA").read_text(encoding="utf-8"))
        libraries.add(build_name(metadata["Name"]))
    folders = {
        path.name for path in packaged.folder.iterdir() if not path.name.endswith(".dist-info")
    }
    ours = {path.name for path in build.FUNCTIONS.iterdir() if path.is_dir()}
    assert folders & ours == {"common", packaged.capability}
    requirements = build.FUNCTIONS / packaged.capability / "requirements.txt"
    assert libraries == {build_name(name) for name in locked(requirements)}


def test_the_roots_of_rds_are_carried_by_who_reads_a_database(packaged):
    carried = {path.name for path in (packaged.folder / "common/rds_roots").glob("*")}
    roots = {path.name for path in (build.FUNCTIONS / "common/rds_roots").iterdir()}
    assert "ap-northeast-1.pem" in roots
    assert carried == (roots if (packaged.folder / "pymysql").is_dir() else set())


def test_is_pure_python(packaged):
    files = [path for path in packaged.folder.rglob("*") if path.is_file()]
    assert [path for path in files if path.suffix in COMPILED] == []
    for wheel in packaged.folder.glob("*.dist-info/WHEEL"):
        about = email.message_from_string(wheel.read_text(encoding="utf-8"))
        assert about["Root-Is-Purelib"] == "true", wheel
        assert "py3-none-any" in about.get_all("Tag"), wheel


def test_keeps_each_licence(packaged):
    abouts = list(packaged.folder.glob("*.dist-info"))
    assert abouts
    for about in abouts:
        found = [p for p in about.rglob("*") if p.name.startswith(("LICEN", "COPYING"))]
        assert any(path.stat().st_size for path in found), about.name


def test_carries_nothing_meant_for_people(packaged):
    for path in packaged.folder.rglob("*"):
        inside = path.relative_to(packaged.folder)
        assert path.name not in MEANT_FOR_PEOPLE, inside
        assert not path.name.startswith(("requirements.", ".")), inside
        assert path.name not in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}, inside


def test_names_no_folder_of_the_builder(packaged):
    for path in packaged.folder.rglob("*"):
        if path.is_file():
            assert str(ROOT).encode() not in path.read_bytes(), path


@pytest.mark.parametrize("function", build.functions())
def test_the_zip_holds_the_handler_that_lambroll_names(function, usual):
    with zipfile.ZipFile(usual[function]) as archive:
        package, module, _ = build.handler(function).split(".")
        assert f"{package}/{module}.py" in archive.namelist()


def build_name(name):
    return name.lower().replace("_", "-").replace(".", "-")


def locked(requirements):
    lines = requirements.read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0] for line in lines if line and line[0] not in " #"]
