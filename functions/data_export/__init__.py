"""Exports of the database that people ask for, as CSV files that a mail leads to."""
