"""CloudWatch graphs, with a few words on each, become one Slack message."""
