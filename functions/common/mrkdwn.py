"""Slack's own mark-up."""


def escaped(text: str) -> str:
    """Return text as Slack wants it, where & < > have a meaning of their own.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
