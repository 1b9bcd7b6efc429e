# A queue before a function, and where a message goes that the function cannot do.

locals {
  name      = "${var.context.prefix}${var.name}"
  dead_name = "${local.name}-dead"

  # ARNs are written out from names, so that a plan shows policies before anything is made.
  arn_of = {
    for name in [local.name, local.dead_name] :
    name => "arn:${var.context.partition}:sqs:${var.context.region}:${var.context.account_id}:${name}"
  }

  # As Lambda asks of a queue: a message which waits for a free run does not come a second time
  # meanwhile. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  visibility = 6
}

resource "aws_sqs_queue" "this" {
  name                       = local.name
  visibility_timeout_seconds = local.visibility * var.timeout
  sqs_managed_sse_enabled    = true
  policy                     = var.policy

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.receives
  })
}

resource "aws_sqs_queue" "dead" {
  name                       = local.dead_name
  visibility_timeout_seconds = var.dead_timeout == null ? 30 : local.visibility * var.dead_timeout
  message_retention_seconds  = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled    = true

  # By its name: that queue comes after this one.
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arn_of[local.name]]
  })
}
