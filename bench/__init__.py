"""The figures of the README, measured anew: `make bench`, or `python -m bench NAME …`."""
