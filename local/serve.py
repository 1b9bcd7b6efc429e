"""Serve an ASGI application on 127.0.0.1: `python -P serve.py FOLDER MODULE:APP PORT [log]`.

The laptop's AWS and the sandbox are served so. FOLDER is where MODULE is imported from; with `log`
each request is a line on standard output.
"""

import asyncio
import sys
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds. No client keeps an idle connection for as long (Terraform's provider does for 90 s), so
# the server is never the one that closes it: the answer to a request that comes meanwhile is lost.
KEEP_ALIVE = 24 * 60 * 60


class OneWrite:
    """A transport that sends all that is written in one turn of the event loop in one piece."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Wrap `transport`; what is not named below is passed on to it."""
        self._transport = transport
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        """Keep `data` until the turn ends."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held += data

    def close(self) -> None:
        """Send what is kept, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self._transport.write(bytes(self._held))
            self._held.clear()

    def __getattr__(self, name: str) -> Any:
        """Pass on what is the transport's own."""
        return getattr(self._transport, name)


class WholeAnswers(H11Protocol):
    """HTTP/1.1 with head and body of an answer in one write; Uvicorn makes two of them.

    Where milliseconds lie between the two (another thread of this process has the interpreter), the
    AWS SDK for Go may lose the answer: it closes the request's body when the head is there, and if
    net/http has not finished writing by then, it closes the connection. The SDK asks again, and
    finds what it made: CreateAlias 409, and the conflict of AddPermission, which Terraform's
    provider bears for five minutes.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with a transport that waits for all of an answer."""
        whole = OneWrite(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", whole))


def main(folder: str, app: str, port: str, log: str = "") -> None:
    """Serve until SIGTERM; what runs then has three seconds."""
    uvicorn.run(
        app,
        app_dir=folder,
        port=int(port),
        http=WholeAnswers,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=3,
        access_log=bool(log),
        # The AWS has headers of its own.
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
