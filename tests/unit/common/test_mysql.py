import pymysql
import pytest
from pymysql import _auth
from pymysql.connections import Connection

from common.mysql import Settings, connect


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
