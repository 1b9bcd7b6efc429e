provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

run "function" {
  command = plan

  variables {
    environment = { LANGUAGE = "ja" }
  }

  assert {
    condition     = aws_lambda_function.this.function_name == "mimamori-staging-sample" && aws_iam_role.this.name == "mimamori-staging-sample"
    error_message = "One name for function and role."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/mimamori-staging-sample" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Logs are kept for as long as the environment says."
  }
  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_group == "/aws/lambda/mimamori-staging-sample"
    error_message = "The function writes to it."
  }
  assert {
    condition     = aws_lambda_alias.current.name == "current" && aws_lambda_function_event_invoke_config.this.qualifier == "current"
    error_message = "The alias that triggers name."
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 0
    error_message = "A failed run is not repeated: the next one heals it."
  }
  assert {
    condition     = tomap(output.contract.environment) == tomap({ LANGUAGE = "ja", PARAMETER_PATH = "/staging/myApp" })
    error_message = "lambroll is told of the environment."
  }
  assert {
    condition     = output.contract.timeout == null && aws_lambda_function.this.reserved_concurrent_executions == -1
    error_message = "lambroll decides on the timeout, and the account's concurrency is shared."
  }
}

run "timeout_and_concurrency" {
  command = plan

  variables {
    timeout                        = 900
    reserved_concurrent_executions = 1
  }

  assert {
    condition     = output.contract.timeout == 900
    error_message = "lambroll is told of the timeout."
  }
  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 1
    error_message = "No more than one at once."
  }
}

run "takes_a_name_of_64_characters" {
  command = plan

  variables {
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  assert {
    condition     = length(aws_lambda_function.this.function_name) == 64
    error_message = "Lambda takes 64."
  }
}
