# Runs on variables.tf alone: what is refused needs no provider.
run "refuses_a_wildcard_in_an_action_and_in_a_shared_parameter" {
  command = plan

  variables {
    statements        = [{ actions = ["s3:Get*"], resources = ["arn:aws:s3:::b/k"] }]
    shared_parameters = ["DATABASE_*"]
  }

  expect_failures = [var.statements, var.shared_parameters]
}

run "refuses_a_shared_parameter_that_is_also_its_own" {
  command = plan

  variables {
    parameters        = { HOST = { value = "x" } }
    shared_parameters = ["HOST"]
  }

  expect_failures = [var.shared_parameters]
}

run "refuses_a_statement_without_resources_and_a_vpc_without_subnets" {
  command = plan

  variables {
    statements = [{ actions = ["s3:GetObject"], resources = [] }]
    vpc        = { subnet_ids = [], security_group_ids = ["sg-1"] }
  }

  expect_failures = [var.statements, var.vpc]
}

run "refuses_a_condition_without_values_and_a_vpc_without_groups" {
  command = plan

  variables {
    statements = [{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::b/k"], conditions = [{ test = "StringEquals", variable = "aws:RequestedRegion", values = [] }] }]
    vpc        = { subnet_ids = ["subnet-1"], security_group_ids = [] }
  }

  expect_failures = [var.statements, var.vpc]
}
