"""Post service metrics with Mackerel's client, within the function's time."""

import logging
import os
from time import monotonic
from typing import Any

import requests
from mackerel.client import Client, MackerelClientError
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_exponential_jitter

POINTS_A_POST = 1000

log = logging.getLogger(__name__)


class Refused(MackerelClientError):
    """Mackerel will not have this body: the fault is in one of its points."""


class _Unavailable(MackerelClientError):
    """Mackerel is too busy, failing or unreachable: worth another try."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServiceMetrics(Client):
    """Mackerel's client with time limits, retries and Mackerel's own words in its errors.

    429, 5xx and network errors are tried again, after `Retry-After` or a growing pause, until the
    `deadline` (of time.monotonic). Re-posting a name and time overwrites, so a repeated post does
    no harm. Raises Refused for 400 and 413, MackerelClientError for all else.
    """

    def __init__(self, api_key: str, *, deadline: float) -> None:
        """Prepare a session; `MACKEREL_APIBASE` names another origin, as for mkr."""
        super().__init__(
            logger=log,
            mackerel_origin=os.environ.get("MACKEREL_APIBASE", "https://api.mackerelio.com"),
            mackerel_api_key=api_key,
        )
        self._session = requests.Session()
        self._deadline = deadline
        self._try_again = Retrying(
            retry=retry_if_exception_type(_Unavailable),
            wait=_pause,
            stop=lambda state: monotonic() + state.upcoming_sleep >= deadline,
            before_sleep=_say,
            reraise=True,
        )

    def _request(
        self,
        uri: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        params: Any = None,
    ) -> Any:
        return self._try_again(self._request_once, uri, method, headers or {}, params)

    def _request_once(self, uri: str, method: str, headers: dict[str, str], params: Any) -> Any:
        what = f"Mackerel: {method} {self.origin}{uri}"
        try:
            response = self._session.request(
                method,
                self.origin + uri,
                headers=headers | {"X-Api-Key": self.api_key},
                data=params,
                timeout=(3, max(1, min(10, self._deadline - monotonic()))),
                allow_redirects=False,
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _Unavailable(f"{what}: {error}") from error
        if response.status_code == requests.codes.ok:
            return response.json()
        message = f"{what}: HTTP {response.status_code} {response.text[:500]}"
        if response.status_code in (429, 500, 502, 503, 504):
            raise _Unavailable(message, _retry_after(response))
        if response.status_code in (400, 413):
            raise Refused(message)
        raise MackerelClientError(message)


def _retry_after(response: requests.Response) -> float:
    try:
        return max(float(response.headers.get("Retry-After", 0)), 0)
    except ValueError:  # an HTTP date, which Mackerel does not send
        return 0


_backoff = wait_exponential_jitter(multiplier=0.5, max=8)


def _pause(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    return max(_backoff(state), getattr(error, "retry_after", 0))


def _say(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    log.warning("try %d failed, trying again: %s", state.attempt_number, error)
