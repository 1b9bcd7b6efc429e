"""What a function runs until its own code is deployed."""  # noqa: INP001 - alone in its zip


def handler(_event: object, context: object) -> None:
    """Raise: a trigger that fires before the first deploy must not look like a success."""
    name = getattr(context, "function_name", "this function")
    raise RuntimeError(f"{name} is not deployed yet: run make deploy")
