"""Post service metrics with Mackerel's client, within the function's time."""

import logging
import os
from typing import Any

import requests
from mackerel.client import Client, MackerelClientError

from common.http import Http, words

POINTS_A_POST = 1000

log = logging.getLogger(__name__)


class Refused(MackerelClientError):
    """Mackerel will not have this body: the fault is in one of its points."""


class ServiceMetrics(Client):
    """Mackerel's client with time limits, retries and Mackerel's own words in its errors.

    Re-posting a name and time overwrites, so a repeated post does no harm. Raises Refused for 400
    and 413, Unavailable where trouble stays, MackerelClientError for all else.
    """

    def __init__(self, api_key: str, *, deadline: float) -> None:
        """Take a key and a deadline; `MACKEREL_APIBASE` names another origin, as for mkr."""
        super().__init__(
            logger=log,
            mackerel_origin=os.environ.get("MACKEREL_APIBASE", "https://api.mackerelio.com"),
            mackerel_api_key=api_key,
        )
        self._http = Http("Mackerel", deadline=deadline)

    def _request(
        self,
        uri: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        params: Any = None,
    ) -> Any:
        url = self.origin + uri
        headers = (headers or {}) | {"X-Api-Key": self.api_key}
        response = self._http.request(method, url, headers=headers, data=params)
        if response.status_code == requests.codes.ok:
            return response.json()
        kind = Refused if response.status_code in (400, 413) else MackerelClientError
        raise kind(f"Mackerel: {method} {url}: {words(response)}")
