# Runs on variables.tf alone: what is refused needs no provider.
run "takes_a_day" {
  command = plan

  variables {
    expiration   = { prefix = "", days = 1 }
    version_days = 1
  }

  assert {
    condition     = var.version_days == 1
    error_message = "It is taken."
  }
}

run "refuses_a_name_of_64_characters" {
  command = plan

  variables {
    name = format("a%033d", 0)
  }

  expect_failures = [var.name]
}

run "refuses_a_name_with_capitals" {
  command = plan

  variables {
    name = "Samples"
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

run "refuses_files_that_end_at_once" {
  command = plan

  variables {
    expiration = { prefix = "samples/", days = 0 }
  }

  expect_failures = [var.expiration]
}

run "refuses_half_a_day" {
  command = plan

  variables {
    expiration   = { prefix = "samples/", days = 1.5 }
    version_days = 1.5
  }

  expect_failures = [var.expiration, var.version_days]
}

run "refuses_versions_that_end_at_once" {
  command = plan

  variables {
    version_days = 0
  }

  expect_failures = [var.version_days]
}
