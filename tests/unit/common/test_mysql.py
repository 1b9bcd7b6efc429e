import socket
import ssl
import struct
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Thread

import pymysql
import pytest
import trustme
from pymysql import _auth
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from common.mysql import Settings, connect

# Version 10, MySQL 8, all that a client needs to go on: TLS, passwords of 20 bytes.
CAPABILITIES = CLIENT.SSL | CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION | CLIENT.PLUGIN_AUTH
GREETING = (
    b"\x0a8.0.40\0"
    + struct.pack("<I8sx", 1, b"s" * 8)
    + struct.pack("<HBHHB10x", CAPABILITIES & 0xFFFF, 45, 2, CAPABILITIES >> 16, 21)
    + b"s" * 12
    + b"\0mysql_native_password\0"
)


def test_a_password_that_goes_over_tls_alone_is_the_databases_refusal(monkeypatch):
    """As in the zip, which has no library that encrypts a password."""
    monkeypatch.setattr(_auth, "_have_cryptography", False)

    def sign_in(*_):
        _auth.sha2_rsa_encrypt(b"secret", b"salt", b"key")

    monkeypatch.setattr(Connection, "connect", sign_in)
    settings = Settings("db.test", 3306, "shop", "reader", "secret", "off")
    with pytest.raises(pymysql.OperationalError) as error:
        connect(settings, 10)
    code, words = error.value.args
    assert code == 2061
    for part in ("caching_sha2_password", "database.ca", "reader"):
        assert part in words
    assert "secret" not in words


def test_another_error_stays_what_it_is(monkeypatch):
    def broken(*_):
        raise RuntimeError("another")

    monkeypatch.setattr(Connection, "connect", broken)
    with pytest.raises(RuntimeError, match="^another$"):
        connect(Settings("db.test", 3306, "shop", "reader", "secret", "off"), 10)


@contextmanager
def greeting(certificate):
    """Serve TLS as a MySQL server begins it: yield its port, and what clients said without TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    heard = []

    def serve(listener):
        # It ends with the listener.
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    client.settimeout(30)
                    client.sendall(len(GREETING).to_bytes(3, "little") + b"\0" + GREETING)
                    heard.append(client.recv(36))
                    with context.wrap_socket(client, server_side=True) as tls:
                        heard.append(tls.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=[listener])
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_an_expired_certificate_is_said_to_be_that_and_whose_it_is():
    authority = trustme.CA(organization_name="Example's authority")
    past = datetime(2026, 1, 1, tzinfo=UTC)
    with greeting(authority.issue_cert("127.0.0.1", not_after=past)) as (port, heard):
        ca = authority.cert_pem.bytes().decode()
        settings = Settings("127.0.0.1", port, "shop", "reader", "secret", ca)
        for _ in range(2):
            with pytest.raises(pymysql.OperationalError) as error:
                connect(settings, 10)
    assert error.value.args[0] == 2003
    assert error.value.args[1].startswith(
        "the certificate of 127.0.0.1, signed by \"Example's authority, "
    )
    assert "is refused: certificate has expired. database.ca is PEM" in error.value.args[1]
    # 'Go on with TLS', and no more; who signed it is asked once.
    assert [len(said) for said in heard if said] == [36, 36, 36]
    assert b"reader" not in b"".join(heard)


@pytest.mark.parametrize(
    ("ca", "said"),
    [
        ("rds", "database.ca: rds is for a host named ….REGION.rds.amazonaws.com, not db.test"),
        ("rds.pem", "database.ca: takes rds, off or certificates in PEM form"),
    ],
)
def test_an_authority_that_cannot_be_taken_is_the_databases_error_too(ca, said):
    with pytest.raises(pymysql.OperationalError) as error:
        connect(Settings("db.test", 3306, "shop", "reader", "secret", ca), 10)
    assert error.value.args[0] == 2026
    assert error.value.args[1].startswith(said)
