"""What the played Google services share: the access tokens, and the form of an error."""

import secrets
import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

LIFETIME = 3600  # seconds, Google's default and most
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
_REASONS = {
    400: ("invalid", "INVALID_ARGUMENT", "The request is not valid."),
    401: (
        "authError",
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
    ),
    403: ("accessDenied", "PERMISSION_DENIED", "Access Denied"),
    404: ("notFound", "NOT_FOUND", "Not found"),
    409: ("duplicate", "ALREADY_EXISTS", "Already Exists"),
    412: ("conditionNotMet", "FAILED_PRECONDITION", "Precondition Failed"),
    429: ("rateLimitExceeded", "RESOURCE_EXHAUSTED", "Exceeded rate limits."),
    500: ("internalError", "INTERNAL", "An internal error occurred."),
    503: ("backendError", "UNAVAILABLE", "Service is temporarily unavailable. Try again."),
}


class Refused(Exception):
    """A request that Google would refuse: (HTTP status, message), the reason where it is odd."""

    def __init__(self, status: int, message: str, reason: str | None = None) -> None:
        """Keep what the error says."""
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.reason = reason or _REASONS.get(status, ("backendError",))[0]


@dataclass(frozen=True)
class Token:
    """What an access token allows. `until` is by the monotonic clock."""

    principal: str
    scopes: frozenset[str]
    impersonated: bool
    until: float


@dataclass(frozen=True)
class Tokens:
    """The access tokens given, in memory; a restart forgets them."""

    given: dict[str, Token] = field(default_factory=dict)

    def give(
        self, principal: str, scopes: frozenset[str], *, impersonated: bool, seconds: int = LIFETIME
    ) -> str:
        """Make a random token and return it."""
        now = time.monotonic()
        for old in [text for text, token in self.given.items() if token.until <= now]:
            del self.given[old]
        text = f"ya29.{secrets.token_urlsafe(48)}"
        self.given[text] = Token(principal, scopes, impersonated, now + seconds)
        return text

    def check(self, request: Request, *scopes: str, impersonated: bool) -> Token:
        """Return the token of a request's Authorization header.

        Raises Refused: 401 where it is invalid, another's or over; 403 without any of `scopes`.
        """
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.given.get(text) if kind.lower() == "bearer" else None
        if not token or token.until <= time.monotonic() or token.impersonated != impersonated:
            raise Refused(401, _REASONS[401][2])
        if not token.scopes & {*scopes, CLOUD_PLATFORM}:
            words = "Request had insufficient authentication scopes."
            raise Refused(403, words, "insufficientPermissions")
        return token


def refuse(_: Request, status: int, message: str | None) -> Response:
    """Answer an error in the shape of Google's APIs, `{"error": {"code", "message", …}}`."""
    return answer(Refused(status, message or _REASONS.get(status, _REASONS[503])[2]))


def answer(refused: Refused) -> Response:
    """Return a refusal as an answer."""
    word = _REASONS.get(refused.status, _REASONS[503])[1]
    error = {
        "code": refused.status,
        "message": refused.message,
        "errors": [{"domain": "global", "reason": refused.reason, "message": refused.message}],
        "status": word,
    }
    return JSONResponse({"error": error}, status_code=refused.status)
