"""Settings and secrets from SSM Parameter Store, below /<environment><path_to_parameter>/."""

import os
import re
from collections.abc import Iterable
from time import monotonic

from botocore.exceptions import ClientError

from common import aws
from common.events import require

# What Terraform writes into a secret that nobody has filled yet.
PLACEHOLDER = "unset: fill with make secret"


class ParameterError(Exception):
    """A parameter is missing, unfilled or forbidden; the message names it and the way out."""


class Parameters:
    """Values by name. A name that could not be had raises ParameterError when it is asked for."""

    def __init__(self, path: str, values: dict[str, str], errors: dict[str, str]) -> None:
        """Hold what `read` found."""
        self._path, self._values, self._errors = path, values, errors

    def __getitem__(self, name: str) -> str:
        """Return the value of one of the names that were read."""
        parameter = f"{self._path}/{name}"
        if name in self._errors:
            raise ParameterError(f"SSM parameter {parameter} {self._errors[name]}")
        if self._values[name] == PLACEHOLDER:
            raise ParameterError(
                f"SSM parameter {parameter} has no value yet: "
                f"run make secret ENV={environment(self._path)} NAME={name}"
            )
        return self._values[name]


def path(environment: str | None, path_to_parameter: str | None) -> str:
    """Return where the parameters of this run live, e.g. `/staging/myApp`.

    The payload's two fields go together; without them it is Terraform's PARAMETER_PATH. Raises
    InvalidEvent naming the field.
    """
    if environment is None and path_to_parameter is None:
        return os.environ["PARAMETER_PATH"]
    require(
        environment and re.fullmatch(r"[A-Za-z0-9_.-]+", environment),
        "environment",
        environment,
        "a name such as staging, together with path_to_parameter",
    )
    require(
        path_to_parameter and re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", path_to_parameter),
        "path_to_parameter",
        path_to_parameter,
        "a path such as /myApp, together with environment",
    )
    return f"/{environment}{path_to_parameter}"


def environment(path: str) -> str:
    """Return the environment whose parameters live at a path: of `/staging/myApp` `staging`."""
    return path.split("/")[1]


_known: dict[tuple[str, frozenset[str]], tuple[float, Parameters]] = {}


def remembered(path: str, names: Iterable[str], seconds: float = 10) -> Parameters:
    """Read parameters as `read` does, but no more often than every so many seconds.

    For what is asked for in storms: SSM answers 40 requests a second, of a whole account.
    """
    key = path, frozenset(names)
    at, found = _known.get(key, (0.0, None))
    if found is None or monotonic() - at >= seconds:
        at, found = monotonic(), read(path, key[1])
        _known[key] = at, found
    return found


def read(path: str, names: Iterable[str]) -> Parameters:
    """Read parameters, decrypted. The others are read where the role may not read one.

    One request a name, over one connection: the laptop's AWS cannot judge GetParameters, which
    names many, by a role that may read only some.
    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
    """
    ssm = aws.client("ssm")
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for name in sorted(set(names)):
        try:
            answer = ssm.get_parameter(Name=f"{path}/{name}", WithDecryption=True)
        except ssm.exceptions.ParameterNotFound:
            errors[name] = "does not exist: declare it in terraform/ and apply"
        except ClientError as error:
            if not aws.has_code(error, "AccessDeniedException", "ValidationException"):
                raise
            errors[name] = f"cannot be read: {error}"
        else:
            values[name] = answer["Parameter"]["Value"]
    return Parameters(path, values, errors)
