# Runs on variables.tf alone: what is refused needs no provider.
run "refuses_what_is_no_aws_id" {
  command = plan

  variables {
    network  = { vpc_id = "main", subnet_ids = ["subnet-1"] }
    database = merge(var.database, { security_group_id = "database" })
  }

  expect_failures = [var.network, var.database]
}

run "refuses_what_is_too_long_or_no_name" {
  command = plan

  variables {
    project           = "mimamorimimamori"
    environment       = "stag/ing"
    path_to_parameter = "/myApp/"
  }

  expect_failures = [var.project, var.environment, var.path_to_parameter]
}

run "refuses_no_subnets_and_a_port_that_is_none_and_no_way_to_aws" {
  command = plan

  variables {
    network       = { vpc_id = "vpc-1", subnet_ids = [] }
    database      = merge(var.database, { port = 70000 })
    vpc_endpoints = false
  }

  expect_failures = [var.network, var.database, var.https_egress_cidr_blocks]
}

run "refuses_a_ca_that_is_a_file_name_and_a_block_that_is_none_and_endpoints_without_routes" {
  command = plan

  variables {
    database                     = merge(var.database, { ca = "rds.pem" })
    https_egress_cidr_blocks     = ["10.0.0.0"]
    https_egress_prefix_list_ids = ["dynamodb"]
    network                      = merge(var.network, { route_table_ids = [] })
  }

  expect_failures = [var.database, var.https_egress_cidr_blocks, var.https_egress_prefix_list_ids, var.network]
}

run "takes_rds_without_a_word" {
  command = plan

  variables {
    database = {
      host              = "myapp.cluster-ro-abcdefghijkl.ap-northeast-1.rds.amazonaws.com"
      name              = "myapp"
      user              = "mimamori"
      security_group_id = "sg-1"
    }
  }

  assert {
    condition     = var.database.ca == "rds"
    error_message = "A database is one of RDS's, and verified, unless something else is said."
  }
}

run "refuses_rds_for_a_host_elsewhere" {
  command = plan

  variables {
    database = merge(var.database, { ca = "rds" })
  }

  expect_failures = [var.database]
}

run "takes_off" {
  command = plan

  variables {
    database = merge(var.database, { ca = "off" })
  }

  assert {
    condition     = var.database.ca == "off"
    error_message = "It is taken, for any host."
  }
}

run "refuses_more_pem_than_ssm_keeps" {
  command = plan

  variables {
    database = merge(var.database, {
      ca = "-----BEGIN CERTIFICATE-----\n${join("", [for _ in range(1024) : "MIIBMIIB"])}\n-----END CERTIFICATE-----\n"
    })
  }

  expect_failures = [var.database]
}

run "refuses_a_route_table_that_is_none" {
  command = plan

  variables {
    network = merge(var.network, { route_table_ids = ["main"] })
  }

  expect_failures = [var.network]
}

run "takes_identity_providers" {
  command = plan

  variables {
    cognito = merge(var.cognito, { identity_providers = ["Google", "会社のSAML"] })
  }

  assert {
    condition     = length(var.cognito.identity_providers) == 2
    error_message = "They are taken."
  }
}

run "refuses_two_identity_providers_in_one_name" {
  command = plan

  variables {
    cognito = merge(var.cognito, { identity_providers = ["Google,LINE"] })
  }

  expect_failures = [var.cognito]
}

run "refuses_an_identity_provider_twice" {
  command = plan

  variables {
    cognito = merge(var.cognito, { identity_providers = ["Google", "Google"] })
  }

  expect_failures = [var.cognito]
}

run "refuses_an_identity_provider_called_none" {
  command = plan

  variables {
    cognito = merge(var.cognito, { identity_providers = ["none"] })
  }

  expect_failures = [var.cognito]
}
