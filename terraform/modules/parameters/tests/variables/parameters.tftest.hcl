# Runs on variables.tf alone: what is refused needs no provider.
variables {
  path = "/staging/myApp"
}

run "refuses_a_value_over_8192_bytes" {
  command = plan

  variables {
    parameters = { CA = { value = format("%-8193s", "x") } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_value_over_8192_bytes_in_fewer_characters" {
  command = plan

  variables {
    parameters = { CA = { value = replace(format("%2731s", ""), " ", "見") } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_lower_case_name" {
  command = plan

  variables {
    parameters = { host = { value = "x" } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_name_with_a_path" {
  command = plan

  variables {
    parameters = { "A/B" = { value = "x" } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_plain_parameter_without_a_value" {
  command = plan

  variables {
    parameters = { HOST = {} }
  }

  expect_failures = [var.parameters]
}

run "refuses_an_empty_value" {
  command = plan

  variables {
    parameters = { HOST = { value = "" } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_secret_with_a_value" {
  command = plan

  variables {
    parameters = { PASSWORD = { secret = true, value = "x" } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_name_of_more_than_1011_characters" {
  command = plan

  variables {
    parameters = { (join("", [for i in range(997) : "A"])) = { value = "x" } }
  }

  expect_failures = [var.parameters]
}

run "refuses_a_path_with_a_slash_at_its_end" {
  command = plan

  variables {
    path       = "/staging/"
    parameters = {}
  }

  expect_failures = [var.path]
}

run "refuses_a_path_that_belongs_to_aws" {
  command = plan

  variables {
    path       = "/aws/service"
    parameters = {}
  }

  expect_failures = [var.path]
}
