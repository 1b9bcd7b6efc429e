"""The outside world, played on the laptop by one web server that keeps what it receives."""
