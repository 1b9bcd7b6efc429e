"""Messages of SQS, as a function's event source mapping hands them over."""

import logging

from botocore.exceptions import BotoCoreError, ClientError

from common import aws

log = logging.getLogger(__name__)


def hide(queue_url: str, receipt: str, seconds: int) -> None:
    """Let a message be seen again after so many seconds, at most 12 hours.

    What SQS refuses, or does not answer, is logged: the message comes again all the same, after the
    queue's own time.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
    """
    try:
        aws.client("sqs").change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=receipt, VisibilityTimeout=seconds
        )
    except (ClientError, BotoCoreError) as error:
        log.warning("cannot hide the message", extra={"reason": str(error)})
