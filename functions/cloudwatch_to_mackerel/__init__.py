"""CloudWatch metrics become Mackerel service metrics."""
