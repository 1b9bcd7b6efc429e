# Runs on variables.tf alone: what is refused needs no provider.
run "takes_the_ends_of_every_range" {
  command = plan

  variables {
    timeout      = 900
    dead_timeout = 1
    receives     = 1000
  }

  assert {
    condition     = var.receives == 1000
    error_message = "They are taken."
  }
}

run "refuses_a_name_of_76_characters_with_its_prefix" {
  command = plan

  variables {
    name = format("a%058d", 0)
  }

  expect_failures = [var.name]
}

run "refuses_a_name_with_an_underscore" {
  command = plan

  variables {
    name = "sample_queue"
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

run "refuses_a_run_of_no_time" {
  command = plan

  variables {
    timeout = 0
  }

  expect_failures = [var.timeout]
}

run "refuses_a_run_of_more_than_a_quarter_of_an_hour" {
  command = plan

  variables {
    timeout      = 901
    dead_timeout = 901
  }

  expect_failures = [var.timeout, var.dead_timeout]
}

run "refuses_a_dead_letter_that_nobody_tried" {
  command = plan

  variables {
    receives = 0
  }

  expect_failures = [var.receives]
}

run "refuses_half_a_time" {
  command = plan

  variables {
    receives = 2.5
  }

  expect_failures = [var.receives]
}

run "refuses_a_policy_without_a_statement" {
  command = plan

  variables {
    policy = "{}"
  }

  expect_failures = [var.policy]
}
