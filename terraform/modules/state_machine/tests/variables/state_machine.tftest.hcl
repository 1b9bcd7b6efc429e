# Runs on variables.tf alone: what is refused needs no provider.

run "refuses_a_name_of_58_characters_with_its_prefix" {
  command = plan

  variables {
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_with_capitals" {
  command = plan

  variables {
    name = "Sample"
  }

  expect_failures = [var.name]
}

run "refuses_a_prefix_that_runs_into_the_name" {
  command = plan

  variables {
    context = merge(var.context, { prefix = "mimamori" })
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

run "refuses_a_function_without_its_alias" {
  command = plan

  variables {
    alias_arns = ["arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-sample"]
  }

  expect_failures = [var.alias_arns]
}

run "refuses_latest_and_a_version" {
  command = plan

  variables {
    alias_arns = ["arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-sample:$LATEST"]
  }

  expect_failures = [var.alias_arns]
}

run "refuses_no_function_at_all" {
  command = plan

  variables {
    alias_arns = []
  }

  expect_failures = [var.alias_arns]
}

run "refuses_a_function_that_the_definition_does_not_call" {
  command = plan

  variables {
    alias_arns = ["arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-another:current"]
  }

  expect_failures = [var.definition]
}

run "refuses_a_definition_that_starts_nowhere" {
  command = plan

  variables {
    definition = replace(var.definition, "\"StartAt\": \"Call\"", "\"StartAt\": \"Begin\"")
  }

  expect_failures = [var.definition]
}

run "refuses_a_definition_that_is_not_json" {
  command = plan

  variables {
    definition = "StartAt: ${var.definition}"
  }

  expect_failures = [var.definition]
}

run "refuses_a_definition_with_a_gap" {
  command = plan

  variables {
    definition = replace(var.definition, "\"Type\": \"Task\"", "\"Type\": \"Task\", \"Comment\": \"$${alias}\"")
  }

  expect_failures = [var.definition]
}
