data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }
    # Only for this account's machines, and not for another's that names the role.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.context.account_id]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${var.context.partition}:states:${local.region}:*"]
    }
  }
}

data "aws_iam_policy_document" "this" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = var.alias_arns
  }

  # Log deliveries take no resource.
  # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
  statement {
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role" "this" {
  # A function of the same name has the name without this end.
  name               = "${local.name}-states"
  description        = "What the state machine ${local.name} may do"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "this" {
  name   = "states"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}
