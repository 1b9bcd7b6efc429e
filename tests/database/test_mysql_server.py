"""MySQL is fetched once, by whoever comes first; where it cannot be had, the reason is told."""

import os
import platform
import shutil
import subprocess
import threading
import time

import pytest

import mysql_server
from mysql_server import Unavailable


@pytest.fixture
def fetching(tmp_path, monkeypatch):
    """Nothing is there yet; the system is one that could have it, with a mirror that is down."""
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(mysql_server, "ROOT", tmp_path)
    monkeypatch.setattr(mysql_server, "_WORK", tmp_path / ".local/mysql")
    monkeypatch.setattr(mysql_server, "KEYRING", keyring)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return tmp_path


def test_another_system_has_none(fetching, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(Unavailable, match="packages for amd64, not Darwin arm64"):
        mysql_server.find()


@pytest.mark.parametrize("missing", ["apt-get", "dpkg-deb"])
def test_a_system_without_debians_programs_has_none(fetching, monkeypatch, missing):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else name)
    with pytest.raises(Unavailable, match=f"{missing} is missing"):
        mysql_server.find()


def test_without_debians_keys_nothing_is_fetched(fetching):
    mysql_server.KEYRING.unlink()
    with pytest.raises(Unavailable, match="apt-get install debian-archive-keyring"):
        mysql_server.find()


def test_a_fetch_that_failed_is_tried_again_a_day_later(fetching, monkeypatch):
    tried = []

    def fail(*command, seconds):
        tried.append(command)
        raise RuntimeError("apt-get failed: Could not resolve 'deb.example'")

    monkeypatch.setattr(mysql_server, "_run", fail)
    for _ in range(2):
        with pytest.raises(Unavailable, match="could not be had: apt-get failed: Could not res"):
            mysql_server.find()
    assert len(tried) == 1

    yesterday = time.time() - 86_401
    os.utime(fetching / ".local/mysql/failed", (yesterday, yesterday))
    with pytest.raises(Unavailable):
        mysql_server.find()
    assert len(tried) == 2


def test_two_at_once_fetch_it_once(fetching, monkeypatch):
    fetched, found = [], []

    def fetch():
        fetched.append(1)
        other.start()
        folder = fetching / ".local/mysql-9.9-1"
        folder.mkdir()
        return folder

    monkeypatch.setattr(mysql_server, "_fetch", fetch)
    other = threading.Thread(target=lambda: found.append(mysql_server.find()))
    found.append(mysql_server.find())
    other.join()
    assert (len(fetched), found) == (1, [fetching / ".local/mysql-9.9-1"] * 2)


OWN = """main bookworm-security http://a.example/debian-security/
main bookworm-updates http://b.example/debian/
contrib bookworm http://c.example/debian/
main bookworm http://d.example/debian/
"""


@pytest.mark.parametrize(
    ("told", "mirror"),
    [
        (OWN, "http://d.example/debian/"),
        ("main stable https://a.example/debian/\n", "https://a.example/debian/"),
        ("main noble http://a.example/ubuntu/\n", mysql_server.MIRROR),
        ("", mysql_server.MIRROR),
    ],
)
def test_the_systems_own_mirror_is_asked(monkeypatch, told, mirror):
    monkeypatch.setattr(mysql_server, "_run", lambda *_, seconds: told)
    assert mysql_server._mirror() == mirror


@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get is missing: not Debian or Ubuntu")
def test_a_mirror_that_is_down_is_told(fetching, monkeypatch):
    monkeypatch.setattr(mysql_server, "_mirror", lambda: "http://127.0.0.1:1/debian/")
    with pytest.raises(Unavailable, match=r"could not be had: apt-get failed: .*127\.0\.0\.1:1"):
        mysql_server.find()
    assert not mysql_server._found()
    assert not list(fetching.glob(".local/mysql/new"))


def test_what_a_command_says_last_is_told():
    with pytest.raises(RuntimeError, match="^sh failed: no such thing$"):
        mysql_server._run("sh", "-c", "echo no such thing >&2; exit 3", seconds=10)
    with pytest.raises(subprocess.TimeoutExpired):
        mysql_server._run("sleep", "60", seconds=0.1)
