# Terraform owns that the function is there, and its alias; lambroll owns what it runs and where the
# alias points. So a plan after a deploy says 'No changes', and an apply never undoes a deploy.

locals {
  name = "${var.context.prefix}${var.name}"

  environment = merge(var.environment, { PARAMETER_PATH = var.context.parameter_path })
}

# Made before Lambda makes it, without an end.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.context.log_retention_days
}

module "parameters" {
  source = "../parameters"

  path       = var.context.parameter_path
  parameters = var.parameters
}

resource "aws_lambda_function" "this" {
  function_name = local.name
  role          = aws_iam_role.this.arn
  s3_bucket     = var.context.placeholder.bucket
  s3_key        = var.context.placeholder.key
  handler       = "placeholder.handler"
  runtime       = "python3.13"
  architectures = ["arm64"]

  reserved_concurrent_executions = var.reserved_concurrent_executions

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  # lambroll sets it again; here it makes Terraform remove the function before its security group.
  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  lifecycle {
    # lambroll's.
    ignore_changes = [
      architectures,
      description,
      environment,
      ephemeral_storage,
      handler,
      layers,
      logging_config,
      memory_size,
      runtime,
      s3_bucket,
      s3_key,
      timeout,
      tracing_config,
      vpc_config,
    ]
  }

  # Lambda tries the role's rights to the VPC when it makes the function.
  depends_on = [aws_iam_role_policy.this]
}

# What every trigger and permission names, so that a rollback moves them all.
resource "aws_lambda_alias" "current" {
  name             = "current"
  function_name    = aws_lambda_function.this.function_name
  function_version = "$LATEST" # the first deploy makes version 1, so nobody rolls back to the placeholder

  lifecycle {
    ignore_changes = [description, function_version, routing_config]
  }
}

resource "aws_lambda_function_event_invoke_config" "this" {
  # Lambda tries the role's right to the queue.
  depends_on = [aws_iam_role_policy.this]

  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.current.name
  maximum_retry_attempts       = var.maximum_retry_attempts
  maximum_event_age_in_seconds = 21600 # Lambda's own default, said so that no plan stumbles over it

  dynamic "destination_config" {
    for_each = var.failure_queue_arn == null ? [] : [var.failure_queue_arn]
    content {
      on_failure {
        destination = destination_config.value
      }
    }
  }
}
