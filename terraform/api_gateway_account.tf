# The role by which API Gateway writes logs: one for all APIs of an account in a region.

data "aws_iam_policy_document" "api_gateway_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

# API Gateway tries the role when it is told of it, and refuses one that may less.
data "aws_iam_policy_document" "api_gateway_logs" {
  statement {
    actions = [
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:DescribeLogGroups",
      "logs:DescribeLogStreams",
      "logs:FilterLogEvents",
      "logs:GetLogEvents",
      "logs:PutLogEvents",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role" "api_gateway" {
  count = var.api_gateway_account_role ? 1 : 0

  name               = "${local.prefix}api_gateway"
  description        = "What API Gateway may do: write logs"
  assume_role_policy = data.aws_iam_policy_document.api_gateway_assume.json
}

resource "aws_iam_role_policy" "api_gateway" {
  count = var.api_gateway_account_role ? 1 : 0

  name   = "logs"
  role   = aws_iam_role.api_gateway[0].id
  policy = data.aws_iam_policy_document.api_gateway_logs.json
}

resource "aws_api_gateway_account" "this" {
  count = var.api_gateway_account_role ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.api_gateway[0].arn
  # Else a destroy leaves the account with the name of a role that is no more.
  reset_on_delete = true

  depends_on = [aws_iam_role_policy.api_gateway]
}
