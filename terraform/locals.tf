data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  # What every name begins with.
  prefix = "${var.project}-${var.environment}-"

  # What every function is given: where it stands, and what is the same for all.
  context = {
    prefix             = local.prefix
    parameter_path     = "/${var.environment}${var.path_to_parameter}"
    partition          = data.aws_partition.current.partition
    region             = data.aws_region.current.name
    account_id         = data.aws_caller_identity.current.account_id
    log_retention_days = var.log_retention_days
    placeholder        = { bucket = aws_s3_object.placeholder.bucket, key = aws_s3_object.placeholder.key }
  }

  # For functions that count what became of their work, in the suite's own namespace.
  # PutMetricData takes no resource; its namespace is what it can be held to. On AWS that key is
  # always there, so IfExists is as strict; an emulator that does not fill it in lets calls through.
  metrics_statement = {
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]
    conditions = [{
      test     = "StringEqualsIfExists"
      variable = "cloudwatch:namespace"
      values   = ["Mimamori"]
    }]
  }
}
