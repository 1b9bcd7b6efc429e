"""Twilio's signature of its webhooks.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence


def signature(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """Return the signature of a form post to `url`: HMAC-SHA1 of the address and the fields.

    The fields in order of their names, each once, name and value joined.
    """
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(fields)))
    return b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def signed(given: str, tokens: Sequence[str], url: str, fields: Sequence[tuple[str, str]]) -> bool:
    """Tell whether one of the tokens (two while one is being replaced) made this signature."""
    return any(
        hmac.compare_digest(signature(token, url, fields).encode(), given.encode())
        for token in tokens
    )
