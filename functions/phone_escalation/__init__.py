"""Phone the people on duty, one after another, until somebody acknowledges."""
