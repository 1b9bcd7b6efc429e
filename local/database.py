"""The laptop's MariaDB: certificates, settings, a data folder, users and connections."""

import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pymysql
import trustme

import files

NAME = "service"
READER = "mimamori_reader"
ADMIN = "mimamori_admin"
COLLATION = "utf8mb4_unicode_ci"


def find_program(name: str) -> str:
    """Return the path of a program of MariaDB's; FileNotFoundError says how to get it."""
    # Servers are in sbin, which a person's PATH often lacks.
    places = [*os.get_exec_path(), "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"]
    path = shutil.which(name, path=os.pathsep.join(places))
    if path is None:
        raise FileNotFoundError(f"{name} (MariaDB's server) is missing: run scripts/install")
    return path


def ensure_certificates(folder: Path, *names: str) -> bool:
    """Make `folder` with ca.pem, server.pem and server.key where it is not whole; True if made.

    The CA is this folder's own and its key is forgotten, so nothing else is ever trusted by it.
    The server's certificate is for localhost, 127.0.0.1, and `names`.
    """
    if _certificates_work(folder):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700, parents=True)
    authority = trustme.CA(organization_name="Mimamori on a laptop")
    server = authority.issue_cert("localhost", "127.0.0.1", *names, common_name="localhost")
    authority.cert_pem.write_to_path(new / "ca.pem")
    for blob in server.cert_chain_pems:
        blob.write_to_path(new / "server.pem", append=True)
    server.private_key_pem.write_to_path(new / "server.key")
    (new / "server.key").chmod(0o600)
    new.rename(folder)
    return True


def _certificates_work(folder: Path) -> bool:
    try:
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    except (OSError, ssl.SSLError):
        return False
    return True


def ensure_data(folder: Path, environment: dict[str, str]) -> None:
    """Make the data folder `folder` where there is none; a half-made one is thrown away first.

    It is made under another name and renamed, so it is there whole or not at all.
    """
    if folder.is_dir():
        return
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    command = [
        find_program("mariadb-install-db"),
        "--no-defaults",
        # Relative: the script does not quote the path, which may have a space in it.
        f"--datadir=./{new.name}",
        "--auth-root-authentication-method=socket",
        "--skip-name-resolve",
        "--skip-test-db",
        *as_root(),
    ]
    done = subprocess.run(
        command,
        cwd=new.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        text = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"mariadb-install-db failed:\n{text[-2000:]}")
    new.rename(folder)


def as_root() -> list[str]:
    """Return the option without which MariaDB and MySQL refuse to run as root."""
    return ["--user=root"] if os.geteuid() == 0 else []


def command() -> list[str]:
    """Return the server's command line, to be run in the folder that holds mariadb.cnf."""
    return [find_program("mariadbd"), "--defaults-file=mariadb.cnf", *as_root()]


def write_settings(folder: Path, port: int, reader_password: str, admin_password: str) -> bool:
    """Write mariadb.cnf and init.sql into `folder`; True if they changed.

    The folder also holds `database/` and `tls/`.

    init.sql runs at each start of the server, before it takes connections: users, passwords and
    rights are then what this says, whatever happened to them.
    """
    settings = files.write(
        folder / "mariadb.cnf",
        f"""[mariadbd]
{shared_settings(folder, port)}character-set-server = utf8mb4
collation-server = {COLLATION}
innodb-log-file-size = 16M
""",
    )
    users = write_users(folder, COLLATION, reader_password, admin_password)
    return settings or users


def shared_settings(folder: Path, port: int) -> str:
    """Return the lines of settings that MariaDB and MySQL have in common."""
    return f"""datadir = "{folder}/database"
init-file = "{folder}/init.sql"
bind-address = 127.0.0.1
port = {port}
# Relative to the data folder: a socket's path may have 107 bytes at most.
socket = server.sock
pid-file = server.pid
skip-name-resolve
default-time-zone = "+00:00"
ssl-ca = "{folder}/tls/ca.pem"
ssl-cert = "{folder}/tls/server.pem"
ssl-key = "{folder}/tls/server.key"
require-secure-transport = on
# Small and quick: what is here can be made again.
innodb-buffer-pool-size = 64M
innodb-flush-log-at-trx-commit = 2
performance-schema = off
max-connections = 50
skip-log-bin
"""


def write_users(folder: Path, collation: str, reader_password: str, admin_password: str) -> bool:
    """Write init.sql, for MariaDB and MySQL, into `folder`; True if it changed."""
    users = [
        (ADMIN, admin_password, "ALL PRIVILEGES ON *.*"),
        (READER, reader_password, f"SELECT ON {NAME}.*"),
    ]
    statements = [f"CREATE DATABASE IF NOT EXISTS {NAME} CHARACTER SET utf8mb4 COLLATE {collation}"]
    for user, password, rights in users:
        statements += [
            f"DROP USER IF EXISTS '{user}'@'%'",
            f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}' REQUIRE SSL",
            f"GRANT {rights} TO '{user}'@'%'",
        ]
    return files.write(folder / "init.sql", "".join(f"{s};\n" for s in statements))


def connect(
    port: int, user: str, password: str, ca: Path, timeout: int = 5
) -> "pymysql.Connection[Any]":
    """Connect to the database `service` over TLS, with the CA and the address verified."""
    return pymysql.connect(
        host="127.0.0.1",
        port=port,
        user=user,
        password=password,
        database=NAME,
        charset="utf8mb4",
        ssl=ssl.create_default_context(cafile=ca),
        connect_timeout=timeout,
        read_timeout=30,
        write_timeout=30,
    )
