# Runs on variables.tf alone: what is refused needs no provider.
run "refuses_more_than_15_minutes_and_no_runs_at_all" {
  command = plan

  variables {
    timeout                        = 901
    reserved_concurrent_executions = 0
  }

  expect_failures = [var.timeout, var.reserved_concurrent_executions]
}

run "refuses_half_a_second_and_half_a_run" {
  command = plan

  variables {
    timeout                        = 0.5
    reserved_concurrent_executions = 1.5
  }

  expect_failures = [var.timeout, var.reserved_concurrent_executions]
}

run "refuses_a_name_of_65_characters_and_lambdas_own_variables" {
  command = plan

  variables {
    name        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    environment = { AWS_REGION = "x" }
  }

  expect_failures = [var.name, var.environment]
}

run "refuses_a_name_with_capitals_and_this_modules_variable_and_three_retries" {
  command = plan

  variables {
    name                   = "Sample"
    environment            = { PARAMETER_PATH = "/x" }
    maximum_retry_attempts = 3
  }

  expect_failures = [var.name, var.environment, var.maximum_retry_attempts]
}

run "refuses_a_retention_that_cloudwatch_does_not_take" {
  command = plan

  variables {
    context = merge(var.context, { log_retention_days = 31 })
  }

  expect_failures = [var.context]
}

run "refuses_an_account_that_is_none" {
  command = plan

  variables {
    context = merge(var.context, { account_id = "123" })
  }

  expect_failures = [var.context]
}

run "refuses_a_prefix_that_runs_into_the_name" {
  command = plan

  variables {
    context = merge(var.context, { prefix = "mimamori" })
  }

  expect_failures = [var.context]
}
