provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

run "log_only" {
  command = plan

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.this.policy).Statement) == 1
    error_message = "A function without needs may write its log and no more."
  }
  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.this.policy).Statement[0].Action) == toset(["logs:CreateLogStream", "logs:PutLogEvents"])
    error_message = "It may not make log groups."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/lambda/mimamori-staging-sample:*"
    error_message = "Its own log group."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "lambda.amazonaws.com"
    error_message = "Lambda takes the role."
  }
}

run "parameters_are_named" {
  command = plan

  variables {
    parameters        = { TOKEN = { secret = true }, HOST = { value = "x" } }
    shared_parameters = ["DATABASE_HOST"]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[1].Action == "ssm:GetParameter"
    error_message = "Read by name, not by path."
  }
  assert {
    condition = toset(jsondecode(aws_iam_role_policy.this.policy).Statement[1].Resource) == toset([
      "arn:aws:ssm:ap-northeast-1:123456789012:parameter/staging/myApp/DATABASE_HOST",
      "arn:aws:ssm:ap-northeast-1:123456789012:parameter/staging/myApp/HOST",
      "arn:aws:ssm:ap-northeast-1:123456789012:parameter/staging/myApp/TOKEN",
    ])
    error_message = "Its own and the shared ones, and nothing else."
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.this.policy).Statement) == 2
    error_message = "Nothing else."
  }
}

run "vpc" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[1].Resource == "*" && alltrue([for action in jsondecode(aws_iam_role_policy.this.policy).Statement[1].Action : startswith(action, "ec2:Describe")])
    error_message = "Only describing takes no resource."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[2].Resource == "arn:aws:ec2:ap-northeast-1:123456789012:*/*"
    error_message = "Network interfaces of this account and region."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[3].Effect == "Deny" && jsondecode(aws_iam_role_policy.this.policy).Statement[3].Condition.ArnEquals["lambda:SourceFunctionArn"] == "arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-sample"
    error_message = "The function's own code may do none of it."
  }
  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.this.policy).Statement[3].Action) == setunion(jsondecode(aws_iam_role_policy.this.policy).Statement[1].Action, jsondecode(aws_iam_role_policy.this.policy).Statement[2].Action)
    error_message = "All that is allowed to the service is denied to the code."
  }
  assert {
    condition     = toset(output.contract.vpc.subnet_ids) == toset(["subnet-1", "subnet-2"])
    error_message = "lambroll is told of the VPC."
  }
}

run "no_vpc_no_rights_to_it" {
  command = plan

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "ec2:") && output.contract.vpc == null
    error_message = "Outside a VPC there are no rights to network interfaces."
  }
}

run "statements" {
  command = plan

  variables {
    statements = [{
      actions    = ["cloudwatch:PutMetricData"]
      resources  = ["*"]
      conditions = [{ test = "StringEquals", variable = "cloudwatch:namespace", values = ["A", "B"] }]
    }]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[1].Action == "cloudwatch:PutMetricData"
    error_message = "The action."
  }
  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.this.policy).Statement[1].Condition.StringEquals["cloudwatch:namespace"]) == toset(["A", "B"])
    error_message = "The condition."
  }
}
