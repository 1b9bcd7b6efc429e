"""What a caller of the phone escalation needs.

`python scripts/phone_api.py ENV url` and `python scripts/phone_api.py ENV key CALLER` print it.
"""

import environment
from command import CommandError, run


def url(env: str) -> str:
    """Return where the API is reached."""
    return str(environment.output(env, "phone_escalation")["base_url"])


def key(env: str, caller: str) -> str:
    """Return the value of a caller's key; CommandError says which callers there are."""
    callers = environment.output(env, "phone_escalation")["callers"]
    if caller not in callers:
        there = ", ".join(sorted(callers)) or "none: see phone_escalation in the tfvars"
        raise CommandError(f"no caller {caller!r}: there is {there}")
    apigateway = environment.client(env, "apigateway")
    return str(apigateway.get_api_key(apiKey=callers[caller], includeValue=True)["value"])


def main(env: str, what: str, caller: str = "") -> None:
    """Print what was asked for."""
    print(url(env) if what == "url" else key(env, caller))


if __name__ == "__main__":
    run(main)
