provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

# The provider would have AWS look at the definition.
override_resource {
  target          = aws_sfn_state_machine.this
  override_during = plan
}

run "machine" {
  command = plan

  assert {
    condition     = aws_sfn_state_machine.this.name == "mimamori-staging-sample" && aws_sfn_state_machine.this.type == "STANDARD"
    error_message = "Runs that can be looked at and repeated."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/vendedlogs/states/mimamori-staging-sample" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Logs are kept for as long as the environment says."
  }
  assert {
    condition     = aws_sfn_state_machine.this.logging_configuration[0].level == "ERROR" && length(aws_sfn_state_machine.this.tracing_configuration) == 0
    error_message = "Errors are logged; no tracing is asked for, for a plan would show it every time on an emulator without."
  }
}

run "role" {
  command = plan

  assert {
    condition     = aws_iam_role.this.name == "mimamori-staging-sample-states" && jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "states.amazonaws.com"
    error_message = "Step Functions takes the role, and it is not the function's."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "For this account only."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Action == "lambda:InvokeFunction" && jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == "arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-sample:current"
    error_message = "It may call the alias, not the function."
  }
  assert {
    condition     = alltrue([for action in jsondecode(aws_iam_role_policy.this.policy).Statement[1].Action : startswith(action, "logs:")]) && length(jsondecode(aws_iam_role_policy.this.policy).Statement) == 2
    error_message = "Besides its logs, nothing else."
  }
}

run "takes_a_name_of_57_characters_with_its_prefix" {
  command = plan

  variables {
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  assert {
    condition     = length(aws_iam_role.this.name) == 64
    error_message = "IAM takes 64."
  }
}
