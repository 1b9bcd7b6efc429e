"""Zips as lambroll makes them, of a copy of the tree: what stands in build/ is left alone."""

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import build
import environment

ROOT = build.ROOT
SOURCES = ("functions", "scripts", "lambroll", "local")


@dataclass(frozen=True)
class Package:
    """What one function is deployed as: lambroll's zip, and a folder with what is in it."""

    zip: Path
    folder: Path
    capability: str
    module: str


@pytest.fixture(scope="session")
def copy_tree(tmp_path_factory):
    """Return a function that copies what a build needs to a new folder, and gives that."""

    def copy():
        tree = tmp_path_factory.mktemp("tree")
        for name in SOURCES:
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tree / name, ignore=ignore)
        for function in build.functions():
            # Install the libraries once, here, and lend them to every copy.
            build.vendored(ROOT / f"functions/{build.capability(function)}/requirements.txt")
        (tree / ".local").mkdir()
        for name in ("vendored", "ministack"):
            (tree / ".local" / name).symlink_to(ROOT / ".local" / name)
        return tree

    return copy


@pytest.fixture(scope="session")
def package():
    """Return a function that builds in a tree and archives: {function: zip}.

    `umask` and `variables` are those of the person who does it.
    """

    def run(tree, umask=0o022, **variables):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            # As `make` gives it: the person's variables, and over them the environment's.
            shell = environment.shell("staging")
            del shell["LAMBROLL_TFSTATE"]  # it would be read, and is not needed to make a zip

            shell["PYTHONPATH"] = "local"

        def call(*command):
            subprocess.run(command, cwd=tree, env=shell, umask=umask, check=True)

        call(sys.executable, "scripts/build.py")
        (tree / "function.json").write_text('{"FunctionName": "any"}')
        zips = {function: tree / f"{function}.zip" for function in build.functions()}
        for function, path in zips.items():
            call(
                *(ROOT / ".local/bin/lambroll", "archive", "--log-level=warn"),
                *("--function=function.json", f"--src=build/{function}", f"--dest={path}"),
            )
        return zips

    return run


@pytest.fixture(scope="session")
def usual(copy_tree, package):
    """The zips of a copy of the tree in which nothing is special."""
    return package(copy_tree())


@pytest.fixture(scope="session", params=build.functions())
def packaged(request, usual, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with zipfile.ZipFile(usual[request.param]) as archive:
        archive.extractall(folder)
    return Package(usual[request.param], folder, *build.handler(request.param).split(".")[:2])
