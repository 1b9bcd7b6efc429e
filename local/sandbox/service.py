"""What a played service is to the sandbox: a name, its routes, and how it refuses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True)
class Service:
    """One service of the outside world.

    `name` is its inbox channel and what `POST /faults` calls it. `refuse(request, status, message)`
    makes an error in the service's own shape; without a message, in its own words.
    `refuses_with_200`: it tells errors with HTTP 200 too, so a fault may have that status.
    """

    name: str
    routes: Sequence[Route]
    refuse: Callable[[Request, int, str | None], Response]
    refuses_with_200: bool = False


def setting(environ: Mapping[str, str], name: str) -> str:
    """Return an environment variable that the sandbox cannot do without.

    Raises RuntimeError naming it where it is unset or empty.
    """
    value = environ.get(name, "")
    if not value:
        raise RuntimeError(f"the sandbox needs the environment variable {name}")
    return value
