"""Figures of each day, from the database by way of files on S3 into BigQuery."""
