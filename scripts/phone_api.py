"""What a caller of the phone escalation needs.

`python scripts/phone_api.py ENV url` and `python scripts/phone_api.py ENV key CALLER` print it.
"""

import sys
from typing import Any

import environment


def url(env: str) -> str:
    """Return where the API is reached."""
    return str(_known(env)["base_url"])


def key(env: str, caller: str) -> str:
    """Return the value of a caller's key; SystemExit says which callers there are."""
    callers = _known(env)["callers"]
    if caller not in callers:
        there = ", ".join(sorted(callers)) or "none: see phone_escalation in the tfvars"
        raise SystemExit(f"no caller {caller!r}: there is {there}")
    apigateway = environment.client(env, "apigateway")
    return str(apigateway.get_api_key(apiKey=callers[caller], includeValue=True)["value"])


def _known(env: str) -> dict[str, Any]:
    known: dict[str, Any] | None = environment.outputs(env).get("phone_escalation")
    if not known:
        raise SystemExit(f"nothing is applied in {env} yet: make apply ENV={env}")
    return known


if __name__ == "__main__":
    _, environment_name, what, *caller = sys.argv
    print(url(environment_name) if what == "url" else key(environment_name, *caller))
