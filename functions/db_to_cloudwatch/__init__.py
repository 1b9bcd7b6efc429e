"""Numbers that SQL queries return become CloudWatch metrics."""
