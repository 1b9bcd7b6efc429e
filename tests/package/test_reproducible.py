import hashlib
import shutil
import struct
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

import build


def digests(zips):
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in zips.items()}


def touch_all(tree):
    """Everything looks as if a checkout had just written it, by someone with another umask."""
    for path in (tree / "functions").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        path.touch()


def leave_bytecode(tree):
    for folder in [p for p in (tree / "functions").rglob("*") if p.is_dir()]:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__/handler.cpython-311.pyc").write_bytes(b"old")
        (folder / "stray.pyc").write_bytes(b"old")


def leave_a_build(tree):
    for name in build.functions():
        (tree / f"build/{name}/left").mkdir(parents=True)
        (tree / f"build/{name}/left/over.py").write_text("")


def nothing(tree):
    pass


@pytest.mark.parametrize(
    ("prepare", "umask", "variables"),
    [
        pytest.param(nothing, 0o022, {}, id="another folder"),
        pytest.param(nothing, 0o077, {}, id="umask"),
        pytest.param(nothing, 0o022, {"LC_ALL": "C", "PYTHONHASHSEED": "7"}, id="locale and hash"),
        pytest.param(touch_all, 0o022, {}, id="fresh checkout"),
        pytest.param(leave_bytecode, 0o022, {}, id="stray bytecode"),
        pytest.param(leave_a_build, 0o022, {}, id="an earlier build"),
    ],
)
def test_same_bytes(prepare, umask, variables, usual, copy_tree, package):
    tree = copy_tree()
    prepare(tree)
    assert digests(package(tree, umask, **variables)) == digests(usual)


def test_same_bytes_in_another_time_zone(tmp_path, usual, copy_tree, package):
    # A zone of our own, nine hours before Greenwich: a small machine has no list of zones.
    zone = tmp_path / "zone"
    header = struct.pack(">4s16x6L", b"TZif", 0, 0, 0, 0, 1, 4)
    zone.write_bytes(header + struct.pack(">l2B4s", 9 * 3600, 0, 0, b"JST"))
    assert digests(package(copy_tree(), TZ=str(zone))) == digests(usual)


def test_same_bytes_twice_in_one_tree(usual, copy_tree, package):
    tree = copy_tree()
    first = digests(package(tree))
    assert digests(package(tree)) == first == digests(usual)


def test_other_bytes_when_the_source_differs(usual, copy_tree, package):
    tree = copy_tree()
    source = tree / "functions/db_to_cloudwatch/handler.py"
    source.write_text(source.read_text() + "# one more line\n")
    before, after = digests(usual), digests(package(tree))
    assert {name for name in before if before[name] != after[name]} == {"db_to_cloudwatch"}


def test_a_deleted_file_leaves_the_zip(copy_tree, package):
    tree = copy_tree()
    package(tree)
    shutil.rmtree(tree / "functions/db_to_cloudwatch/queries")
    with zipfile.ZipFile(package(tree)["db_to_cloudwatch"]) as archive:
        assert not [name for name in archive.namelist() if "queries/" in name]


def test_two_builds_at_once_take_nothing_away_from_each_other(copy_tree, monkeypatch):
    monkeypatch.setattr(build, "ROOT", copy_tree())
    monkeypatch.setattr(build, "FUNCTIONS", build.ROOT / "functions")
    real, together, gone = build._pin, threading.Barrier(2), []

    def pin(folder):
        real(folder)
        together.wait(60)

    def remove(path, **how):
        gone.extend([path] if path.exists() else [])
        rmtree(path, **how)

    rmtree = shutil.rmtree
    monkeypatch.setattr(build, "_pin", pin)
    monkeypatch.setattr(build.shutil, "rmtree", remove)
    with ThreadPoolExecutor(2) as pool:
        [folder] = set(pool.map(build.build, ["export_link"] * 2))
    assert folder not in gone
    assert len(gone) == 1  # the one that was not needed
