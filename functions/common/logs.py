"""Logging as JSON lines, the same on AWS and where no runtime installs a handler."""

import json
import logging
from datetime import UTC, datetime

_OWN = logging.LogRecord("", 0, "", 0, "", None, None).__dict__.keys() | {"message", "asctime"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record.__dict__.items() if key not in _OWN},
        }
        if record.exc_info:
            line["stackTrace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up() -> None:
    """Let INFO through; where the runtime has installed no handler, write JSON lines to stderr.

    On AWS the function's LoggingConfig makes the lines, with the fields given as `extra`.
    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for noisy in ("botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_JsonLines())
        root.addHandler(handler)
