"""HTTP calls with time limits, tried again as long as the function has time."""

import logging
from time import monotonic
from typing import Any

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_exponential_jitter
from urllib3.exceptions import NewConnectionError

_BUSY = requests.codes.too_many_requests
_FAILING = requests.codes.server_error  # and whatever is above, of proxies too
_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """A service is too busy, failing or unreachable. `unheard`: it surely did nothing."""

    def __init__(self, message: str, *, unheard: bool = False, retry_after: float = 0) -> None:
        """Keep what decides on another try; `retry_after` is in seconds."""
        super().__init__(message)
        self.unheard, self.retry_after = unheard, retry_after


class Http:
    """Calls of one service, until a deadline (of time.monotonic)."""

    def __init__(self, service: str, *, deadline: float, hidden: str | None = None) -> None:
        """Prepare; `service` is its name in errors, `hidden` a part of addresses that is not."""
        self._service, self._deadline, self._hidden = service, deadline, hidden
        self._session = requests.Session()

    def request(
        self, method: str, url: str, *, repeatable: bool = True, **fields: Any
    ) -> requests.Response:
        """Call and return the answer, whatever its status but 429 and 5xx.

        Those and network errors are tried again after `Retry-After` or a growing pause, while time
        allows. What is not `repeatable` is tried again only where the service surely did nothing:
        after 429, or when no connection came about. Raises Unavailable in the service's own words.
        `fields` are those of requests' Session.request.
        """
        again = Retrying(
            retry=retry_if_exception(lambda error: _worth_it(error, repeatable=repeatable)),
            wait=_pause,
            stop=lambda state: monotonic() + state.upcoming_sleep >= self._deadline,
            before_sleep=_say,
            reraise=True,
        )
        return again(self._once, method, url, fields)

    def _shown(self, url: str) -> str:
        return url.replace(self._hidden, "…") if self._hidden else url

    def _once(self, method: str, url: str, fields: dict[str, Any]) -> requests.Response:
        what = f"{self._service}: {method} {self._shown(url)}"
        left = max(1, min(10, self._deadline - monotonic()))
        try:
            response = self._session.request(
                method, url, timeout=(3, left), allow_redirects=False, **fields
            )
        except _BROKEN as error:
            raise Unavailable(f"{what}: {_reason(error)}", unheard=_unheard(error)) from error
        if response.status_code == _BUSY or response.status_code >= _FAILING:
            raise Unavailable(
                f"{what}: {words(response)}",
                unheard=response.status_code == _BUSY,
                retry_after=_retry_after(response),
            )
        return response


def words(response: requests.Response) -> str:
    """Return an answer's status and the beginning of its text, for an error."""
    return f"HTTP {response.status_code} {response.text[:500]}"


def _reason(error: requests.RequestException) -> object:
    # requests wraps urllib3's error, whose reason tells a refused connection from a broken one, and
    # does not show the address with its query.
    return getattr(error.args[0], "reason", None) or error if error.args else error


def _unheard(error: requests.RequestException) -> bool:
    connected = not isinstance(_reason(error), NewConnectionError)
    return isinstance(error, requests.ConnectTimeout) or not connected


def _worth_it(error: BaseException, *, repeatable: bool) -> bool:
    return isinstance(error, Unavailable) and (repeatable or error.unheard)


def _retry_after(response: requests.Response) -> float:
    try:
        return max(float(response.headers.get("Retry-After", 0)), 0)
    except ValueError:  # an HTTP date, which neither Mackerel nor Slack sends
        return 0


_backoff = wait_exponential_jitter(multiplier=0.5, max=8)


def _pause(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    return max(_backoff(state), getattr(error, "retry_after", 0))


def _say(state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    log.warning("try %d failed, trying again: %s", state.attempt_number, error)
