"""The sandbox: one Starlette app that plays the outside world on the laptop.

`uvicorn --app-dir local sandbox.app:app`. Environment: SANDBOX_DIR, a folder for what it keeps, and
what each played service asks for in its `play`.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import (
    application_autoscaling,
    bigquery,
    cloudwatch,
    faults,
    google_auth,
    inbox,
    mackerel,
    mail,
    page,
    phones,
    slack,
    twilio,
)
from sandbox.bigquery_jobs import open_jobs
from sandbox.google import Tokens
from sandbox.service import setting
from sandbox.switchboard import open_switchboard

# A new module of services has a `play`, which returns them, and its line here.
PLAYED = (
    mackerel.play,
    cloudwatch.play,
    application_autoscaling.play,
    slack.play,
)


def build(environ: Mapping[str, str]) -> Starlette:
    """Put the app together; RuntimeError names an environment variable that is missing."""
    items = inbox.open_inbox(Path(setting(environ, "SANDBOX_DIR")))
    switchboard = open_switchboard(items, environ)
    mailbox = mail.open_mailbox(items, environ)
    services = [service for play in PLAYED for service in play(items, environ)]
    services += twilio.play(switchboard, environ)
    tokens, jobs = Tokens(), open_jobs(items, environ)
    services += google_auth.play(tokens, environ) + bigquery.play(jobs, tokens)
    pending = faults.Faults()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with mailbox.collecting():
            yield
        await switchboard.close()
        await jobs.close()

    return Starlette(
        routes=[
            Route("/health", _health, methods=["GET"]),
            *page.routes(items, environ, switchboard, jobs),
            *inbox.routes(items, mailbox.collect),
            *mail.routes(items),
            *phones.routes(switchboard),
            *slack.file_routes(environ),
            *faults.routes(pending, services),
            *(route for service in services for route in service.routes),
        ],
        middleware=[Middleware(faults.Gate, services=services, faults=pending)],
        lifespan=lifespan,
    )


async def _health(_: Request) -> Response:
    return JSONResponse({"ok": True})


app = build(os.environ)
