"""What the scripts share as commands: whatever goes wrong becomes a sentence, and exit code 1."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from stack import Stack, StackError

# What AWS answers to credentials that are unknown, wrong or over.
NOT_SIGNED_IN = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
SIGN_IN = "sign in to the account of this environment (`aws sso login`, AWS_PROFILE)"


class CommandError(Exception):
    """Why a command cannot do its work, and what to do about it, as text for a person."""


def run(main: Callable[..., int | None]) -> NoReturn:
    """Call a script's main with the command line's words, and end with the code that it returns.

    What people can mend (arguments, files, credentials, a stack that does not run) is said in one
    sentence on standard error. Any other exception is a mistake of ours, and keeps its traceback.
    """
    try:
        code = main(*sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Who reads has had enough (`make logs | head`); nor may the flush at the end complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (CommandError, StackError, BotoCoreError, ClientError, OSError) as error:
        sys.exit(sentence(error))
    sys.exit(code)


def sentence(error: Exception) -> str:
    """Return what an error says to a person, and what to do about it."""
    said, advice = str(error), ""
    match error:
        case NoCredentialsError():
            said, advice = "no AWS credentials", SIGN_IN
        case ProfileNotFound():
            advice = SIGN_IN
        case ClientError():
            about = error.response["Error"]
            said = (
                f"AWS refused {error.operation_name}: {about.get('Code')}: {about.get('Message')}"
            )
            advice = SIGN_IN if about.get("Code") in NOT_SIGNED_IN else ""
        case EndpointConnectionError() | ConnectTimeoutError():
            stack = Stack.current()
            if str(error.kwargs.get("endpoint_url")).startswith(stack.aws_url):
                said, advice = f"nothing runs at {stack.aws_url}", "make up"
        case OSError() if error.filename:
            said = f"{error.filename}: {error.strerror}"
    return f"{said}: {advice}" if advice else said


def only_one(words: str, how: str) -> str:
    """Return the one word of an argument; CommandError says how it is given."""
    found = words.split()
    if len(found) != 1:
        raise CommandError(f"say which one: {how}" if found else f"say which: {how}")
    return found[0]
