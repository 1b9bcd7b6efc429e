"""The log of a function as Lambda's own runtime makes it, before the function's code is imported.

Python imports this by itself at its start, where this folder is on its path: the laptop's AWS has
it there, and with it each worker that runs a function.
"""

import logging
import os
import sys

from awslambdaric.lambda_runtime_log_utils import JsonFormatter


class LambdaHandler(logging.Handler):
    """Writes Lambda's JSON lines; what those cannot be made of is raised where it is logged.

    As `LambdaLoggerHandlerWithFrameType` and `FramedTelemetryLogSink` of awslambdaric.bootstrap do,
    but to standard error, which is what the laptop's AWS takes for the log.
    """

    def __init__(self) -> None:
        """Take the runtime's own formatter."""
        super().__init__()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. Raises UnicodeEncodeError, and TypeError for what is no JSON."""
        self.write(self.format(record).encode("utf8"))

    def write(self, line: bytes) -> None:
        """Hand a line on."""
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    logging.getLogger().addHandler(LambdaHandler())
