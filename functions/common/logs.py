"""Logging as Lambda's runtime does it, with text that any log can take."""

import logging


class _Encodable(logging.Formatter):
    r"""What a formatter makes, with `\ud800` for half of a surrogate pair: no UTF-8 has those.

    JSON from outside may have them, and the runtime would raise in the midst of what is logged.
    In a line of JSON they are escaped so, too.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return encodable(self.inner.format(record))


def encodable(text: str) -> str:
    """Return text with what no UTF-8 has escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def set_up() -> None:
    """Let INFO through, to the handler that the runtime has installed.

    By the function's LoggingConfig it makes JSON lines, with the fields given as `extra`: JSON
    values. A field with a name that it reserves (`location`, `timestamp` and others) is lost.
    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for handler in root.handlers:
        if handler.formatter and not isinstance(handler.formatter, _Encodable):
            handler.setFormatter(_Encodable(handler.formatter))
