"""A real MySQL beside the laptop's MariaDB, for the tests; nothing is installed on the system.

The server is taken from Debian's packages (`mysql-server-core` of sid, with all the libraries that
it needs) by an apt configuration of our own, unpacked below `.local/mysql-<version>/`, and run by
its own loader: the system's libraries are neither used nor touched. Debian and Ubuntu on amd64.

The functions are those of `database`, MariaDB's: data folder, settings, command.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import database
import files
from stack import ROOT

PACKAGE = "mysql-server-core"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "http://deb.debian.org/debian/"
# MySQL's own default, and that of RDS since 8.0.
COLLATION = "utf8mb4_0900_ai_ci"
# What apt keeps while it fetches; a download that broke off goes on from here.
_WORK = ROOT / ".local/mysql"
_DAY = 24 * 3600
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_KEPT = ("usr/sbin/mysqld", "usr/share/mysql", _LIBRARIES)


class Unavailable(Exception):
    """MySQL cannot be had here; says what is missing and how to get it."""


def find() -> Path:
    """Return the folder of an unpacked MySQL, which is fetched if it is not there (about 20 s).

    A fetch that failed is not repeated for a day. Raises Unavailable.
    """
    if not (found := _found()):
        with _alone():
            found = _found() or _fetch()
    return found


def version() -> str:
    """Return the version of the server that `find` gives, as Debian counts it. Raises as find."""
    return find().name.removeprefix("mysql-")


def _found() -> Path | None:
    return max(ROOT.glob(".local/mysql-*/"), key=lambda it: it.stat().st_mtime, default=None)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process fetches; the lock ends with its holder."""
    _WORK.mkdir(parents=True, exist_ok=True)
    with (_WORK / "one-at-a-time").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch() -> Path:
    if (system := f"{platform.system()} {platform.machine()}") != "Linux x86_64":
        raise Unavailable(f"MySQL's server is taken from Debian's packages for amd64, not {system}")
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is missing: MySQL's server is had on Debian and Ubuntu")
    if not KEYRING.exists():
        raise Unavailable(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
    failed = _WORK / "failed"
    if failed.exists() and time.time() - failed.stat().st_mtime < _DAY:
        raise Unavailable(
            f"{failed.read_text()} (it is tried again a day later, or once {failed} is removed)"
        )
    try:
        folder = _unpack(_download())
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        reason = f"{PACKAGE} of Debian sid could not be had: {error}"
        files.write(failed, reason)
        raise Unavailable(reason) from error
    failed.unlink(missing_ok=True)
    return folder


def _download() -> list[Path]:
    """Download the package and all that it needs, as if nothing were installed."""
    for name in ("sources.d", "state/lists/partial", "cache/archives/partial"):
        (_WORK / name).mkdir(parents=True, exist_ok=True)
    files.write(_WORK / "status", "")
    files.write(
        _WORK / "sources.d/sid.sources",
        f"Types: deb\nURIs: {_mirror()}\nSuites: sid\nComponents: main\nArchitectures: amd64\n"
        f"Targets: Packages\nSigned-By: {KEYRING}\n",
    )
    files.write(
        _WORK / "apt.conf",
        # The system's other settings stay: a proxy, for one. Its hooks would clean its own cache.
        f"""#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{_WORK}/sources.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{_WORK}/state";
Dir::State::status "{_WORK}/status";
Dir::Cache "{_WORK}/cache";
Dir::Log "{_WORK}/log";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
""",
    )
    _run("apt-get", "-q", "-c", f"{_WORK}/apt.conf", "update", "--error-on=any", seconds=120)
    wanted = ["install", "-y", "--download-only", PACKAGE]
    _run("apt-get", "-q", "-c", f"{_WORK}/apt.conf", *wanted, seconds=300)
    return sorted((_WORK / "cache/archives").glob("*.deb"))


def _mirror() -> str:
    """Return the Debian mirror that the system itself uses, or else the public one."""
    form = "$(COMPONENT) $(RELEASE) $(REPO_URI)"
    told = _run("apt-get", "indextargets", "--format", form, "Created-By: Packages", seconds=20)
    found = re.search(r"^main [^ -]+ (\S+/debian/)$", told, re.MULTILINE)
    return found[1] if found else MIRROR


def _unpack(packages: list[Path]) -> Path:
    [server] = (one for one in packages if one.name.startswith(f"{PACKAGE}_"))
    folder = ROOT / f".local/mysql-{server.name.split('_')[1]}"
    whole, new = _WORK / "whole", _WORK / "new"
    for stale in (whole, new):
        shutil.rmtree(stale, ignore_errors=True)
    for package in packages:
        # Perl's are for the server's scripts, which are not run here.
        if "perl" not in package.name:
            _run("dpkg-deb", "-x", str(package), str(whole), seconds=120)
    for name in _KEPT:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).rename(new / name)
    _initialize(new)
    new.rename(folder)
    for done in ("whole", "cache", "state"):
        shutil.rmtree(_WORK / done, ignore_errors=True)
    return folder


def _initialize(folder: Path) -> None:
    """Make a data folder with nothing in it, of which `ensure_data` makes copies."""
    command = [
        *_program(folder),
        "--no-defaults",
        "--initialize-insecure",
        f"--datadir={folder}/data",
        *(f"--{name}={value}" for name, value in _places(folder).items()),
        "--innodb-flush-method=nosync",
        "--innodb-redo-log-capacity=8M",
        *database.as_root(),
    ]
    _run(*command, seconds=120)


def _program(folder: Path) -> list[str]:
    libraries = folder / _LIBRARIES
    loader = libraries / "ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(libraries), str(folder / "usr/sbin/mysqld")]


def _places(folder: Path) -> dict[str, str]:
    """Return the server's settings that lead to its own files, in place of the system's."""
    return {
        "basedir": f"{folder}/usr",
        "lc-messages-dir": f"{folder}/usr/share/mysql",
        "character-sets-dir": f"{folder}/usr/share/mysql/charsets",
        "plugin-dir": f"{folder}/usr/lib",
        "secure-file-priv": "NULL",
    }


def _run(*command: str, seconds: float) -> str:
    """Run a command and return what it prints; RuntimeError has its last words."""
    environ = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        words = " ".join(done.stderr.split())[-600:]
        raise RuntimeError(f"{Path(command[0]).name} failed: {words}")
    return done.stdout


def ensure_data(folder: Path, environment: dict[str, str]) -> None:  # noqa: ARG001 - as MariaDB's
    """Make the data folder `folder` where there is none. Raises as find."""
    if folder.is_dir():
        return
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(find() / "data", new)
    # The server's name for itself: each is to have its own.
    (new / "auto.cnf").unlink(missing_ok=True)
    new.rename(folder)


def command() -> list[str]:
    """Return the server's command line, to be run in the folder that holds mysql.cnf."""
    return [*_program(find()), "--defaults-file=mysql.cnf", *database.as_root()]


def write_settings(folder: Path, port: int, reader_password: str, admin_password: str) -> bool:
    """Write mysql.cnf and init.sql into `folder`; True if they changed. As `database` does."""
    places = "".join(f'{name} = "{value}"\n' for name, value in _places(find()).items())
    settings = files.write(
        folder / "mysql.cnf",
        f"""[mysqld]
{places}{database.shared_settings(folder, port)}mysqlx = off
innodb-redo-log-capacity = 8M
""",
    )
    users = database.write_users(folder, COLLATION, reader_password, admin_password)
    return settings or users
