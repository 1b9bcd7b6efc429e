"""Show a caller's API key of the phone escalation: `python scripts/api_key.py ENV CALLER`."""

import sys

import environment


def key(env: str, caller: str) -> str:
    """Return the value of a caller's key; SystemExit says which callers there are."""
    known = environment.outputs(env).get("phone_escalation")
    if not known:
        raise SystemExit(f"nothing is applied in {env} yet: make apply ENV={env}")
    if caller not in known["callers"]:
        callers = ", ".join(sorted(known["callers"])) or "none: see phone_escalation in the tfvars"
        raise SystemExit(f"no caller {caller!r}: there is {callers}")
    apigateway = environment.client(env, "apigateway")
    found = apigateway.get_api_key(apiKey=known["callers"][caller], includeValue=True)
    return str(found["value"])


if __name__ == "__main__":
    print(key(*sys.argv[1:]))
