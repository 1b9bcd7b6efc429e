import re
import subprocess

import pytest

import build

ROOT = build.ROOT
DEV = ROOT / "requirements/dev.txt"
OF_FUNCTIONS = sorted((ROOT / "functions").glob("*/requirements.txt"))
LOCKS = [*OF_FUNCTIONS, *sorted((ROOT / "requirements").glob("*.txt"))]
# Written so that this file does not name them either.
HOSTS = re.compile(
    r"py[p]i\.(org|python)|python[h]osted\.|proxy\.[g]olang\.|sum\.[g]olang\.|registry\.[n]pmjs"
    r"|--(extra-)?[i]ndex-url|--[f]ind-links|--[t]rusted-host",
    re.IGNORECASE,
)


def named(path):
    return str(path.relative_to(ROOT))


def entries(path):
    """Return the lock's logical lines, each a requirement with its hashes."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def versions(path):
    return dict(
        re.findall(r"^([a-z0-9.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def tracked():
    """Return the files that are in the repository, or on their way into it."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in done.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("lock", LOCKS, ids=named)
def test_every_line_of_a_lock_is_exact_and_has_a_hash(lock):
    assert entries(lock)
    for entry in entries(lock):
        assert re.fullmatch(
            r"[a-z0-9.-]+==\S+( *; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", entry
        ), entry[:80]


@pytest.mark.parametrize("lock", OF_FUNCTIONS, ids=named)
def test_the_tests_run_with_the_versions_that_a_function_carries(lock):
    theirs, ours = versions(lock), versions(DEV)
    assert {name: ours.get(name) for name in theirs} == theirs


@pytest.mark.parametrize("lock", OF_FUNCTIONS, ids=named)
def test_every_library_asked_for_is_locked(lock):
    asked = lock.with_suffix(".in").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in asked if line[:1] not in ("", "#")}
    assert {canonical(name) for name in names} <= {canonical(name) for name in versions(lock)}


def test_each_function_is_locked():
    assert {path.parent.name for path in OF_FUNCTIONS} >= {
        build.capability(function) for function in build.functions()
    }


@pytest.mark.parametrize("lock", LOCKS, ids=named)
def test_a_lock_names_no_address(lock):
    assert "://" not in lock.read_text(encoding="utf-8")


def test_terraform_locks_name_terraforms_own_registry_only():
    locks = [path for path in tracked() if path.name == ".terraform.lock.hcl"]
    for lock in locks:
        providers = re.findall(r'^provider "([^"]+)"', lock.read_text(), re.MULTILINE)
        assert providers
        assert all(name.startswith("registry.terraform.io/") for name in providers), lock
        assert "://" not in re.sub(r"(?m)^\s*#.*$", "", lock.read_text()), lock


def test_no_tracked_file_names_a_registry():
    found = {}
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        if match := HOSTS.search(text):
            found[named(path)] = match[0]
    assert found == {}
