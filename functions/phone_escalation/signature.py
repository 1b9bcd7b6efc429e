"""Twilio's signature of its webhooks.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit


def signature(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """Return the signature of a form post to `url`: HMAC-SHA1 of the address and the fields.

    The fields in order of their names, each once, name and value joined.
    """
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(fields)))
    return b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def signed(given: str, tokens: Sequence[str], url: str, fields: Sequence[tuple[str, str]]) -> bool:
    """Tell whether one of the tokens (two while one is being replaced) made this signature.

    Over the address with its port or without: Twilio's own library takes both.
    """
    return any(
        hmac.compare_digest(signature(token, address, fields).encode(), given.encode())
        for token in tokens
        for address in _with_and_without_port(url)
    )


def _with_and_without_port(url: str) -> list[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return [parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}")]
