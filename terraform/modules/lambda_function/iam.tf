# ARNs are written out from names, so that a plan shows the whole policy before anything is made.

locals {
  arn_of = {
    for service in ["ec2", "lambda", "logs", "ssm"] :
    service => "arn:${var.context.partition}:${service}:${var.context.region}:${var.context.account_id}"
  }
  readable = setunion(keys(var.parameters), var.shared_parameters)
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "this" {
  # The log group's own ARN and those of its streams.
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn_of.logs}:log-group:/aws/lambda/${local.name}:*"]
  }

  # Decrypting takes no right of its own: the key alias/aws/ssm serves whoever may read the parameter.
  dynamic "statement" {
    for_each = length(local.readable) > 0 ? [local.readable] : []
    content {
      actions   = ["ssm:GetParameter"]
      resources = [for name in statement.value : "${local.arn_of.ssm}:parameter${var.context.parameter_path}/${name}"]
    }
  }

  # Lambda makes and removes the function's network interfaces with the function's role. Describing
  # takes no resource, and their ids are known to nobody beforehand.
  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
  dynamic "statement" {
    for_each = var.vpc == null ? [] : [true]
    content {
      actions   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
      resources = ["*"]
    }
  }
  dynamic "statement" {
    for_each = var.vpc == null ? [] : [true]
    content {
      actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:UnassignPrivateIpAddresses",
      ]
      resources = ["${local.arn_of.ec2}:*/*"]
    }
  }
  # The service may, the function's own code may not.
  dynamic "statement" {
    for_each = var.vpc == null ? [] : [true]
    content {
      effect = "Deny"
      actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      resources = ["*"]
      condition {
        test     = "ArnEquals"
        variable = "lambda:SourceFunctionArn"
        values   = ["${local.arn_of.lambda}:function:${local.name}"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.failure_queue_arn == null ? [] : [var.failure_queue_arn]
    content {
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.statements
    content {
      actions   = statement.value.actions
      resources = statement.value.resources
      dynamic "condition" {
        for_each = statement.value.conditions
        content {
          test     = condition.value.test
          variable = condition.value.variable
          values   = condition.value.values
        }
      }
    }
  }
}

resource "aws_iam_role" "this" {
  name               = local.name
  description        = "What ${local.name} may do"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "this" {
  name   = "function"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}
