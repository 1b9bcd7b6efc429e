# Runs on variables.tf alone: what is refused needs no provider.
run "refuses_a_name_that_makes_65_characters" {
  command = plan

  variables {
    schedules = { aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = { expression = "rate(5 minutes)", description = "x", input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_a_name_with_a_space" {
  command = plan

  variables {
    schedules = { "every day" = { expression = "rate(5 minutes)", description = "x", input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_five_fields_as_of_unix" {
  command = plan

  variables {
    schedules = { s = { expression = "cron(0 8 * * MON)", description = "x", input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_both_days_given" {
  command = plan

  variables {
    schedules = { s = { expression = "cron(0 8 1 * MON *)", description = "x", input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_one_minutes" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(1 minutes)", description = "x", input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_a_one_time_schedule" {
  command = plan

  variables {
    schedules = { s = { expression = "at(2026-01-01T00:00:00)", description = "x", input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_8193_bytes_of_input" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = "x", input = jsonencode({ a = format("%-8185s", "x") }) } }
  }

  expect_failures = [var.schedules]
}

run "refuses_input_that_is_not_json" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = "x", input = "{environment: staging}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_input_that_is_no_object" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = "x", input = "[1]" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_a_description_of_513_characters" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = format("%-513s", "x"), input = "{}" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_an_empty_description" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = "", input = "{}" } }
  }

  expect_failures = [var.schedules]
}
