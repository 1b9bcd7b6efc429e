# ARNs are written out from names, so that a plan shows the whole policy before anything is made, and
# so that a function may be told of the machine that calls it.

locals {
  name   = "${var.context.prefix}${var.name}"
  region = "${var.context.region}:${var.context.account_id}"
  arn    = "arn:${var.context.partition}:states:${local.region}:stateMachine:${local.name}"
}

# Step Functions has a resource policy made for its log groups, which has room for so many names;
# those below /aws/vendedlogs need none of it.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/vendedlogs/states/${local.name}"
  retention_in_days = var.context.log_retention_days
}

resource "aws_sfn_state_machine" "this" {
  name       = local.name
  role_arn   = aws_iam_role.this.arn
  type       = "STANDARD"
  definition = var.definition

  # Every run's steps are in its own history; what failed is here as well, where alarms can see it.
  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  # Step Functions tries the role's rights to logs when it makes the machine.
  depends_on = [aws_iam_role_policy.this]
}
