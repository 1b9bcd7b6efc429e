provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

variables {
  environment   = "staging"
  vpc_endpoints = true
  network       = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"], route_table_ids = ["rtb-1"] }
  database = {
    host              = "db.example.com"
    port              = 3306
    name              = "myapp"
    user              = "mimamori"
    ca                = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    security_group_id = "sg-1"
  }
  cognito                = { user_pool_id = "ap-northeast-1_A", client_id = "1" }
  cloudwatch_to_mackerel = { schedules = {}, parameters = { QUEUE = "jobs" } }
  cloudwatch_to_slack    = { schedules = {} }
  db_to_cloudwatch       = { schedules = {} }
  phone_escalation       = { env_type = "verification", callers = {} }
}

run "staging" {
  command = plan

  assert {
    condition     = strcontains(module.cloudwatch_to_mackerel.contract.name, "mimamori-staging-cloudwatch_to_mackerel")
    error_message = "One prefix for all names."
  }
  assert {
    condition     = length(aws_vpc_endpoint.api) == 2 && length(aws_vpc_security_group_egress_rule.functions_to_endpoints) == 1
    error_message = "Endpoints are made where the environment asks for them."
  }
  assert {
    condition     = aws_vpc_endpoint.dynamodb[0].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.dynamodb[0].route_table_ids == toset(["rtb-1"])
    error_message = "DynamoDB is reached by the subnets' routes."
  }
}

run "endpoints_of_ones_own" {
  command = plan

  variables {
    vpc_endpoints            = false
    network                  = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"] }
    https_egress_cidr_blocks = ["10.0.0.0/16"]

    https_egress_prefix_list_ids = ["pl-1"]
  }

  assert {
    condition     = length(aws_vpc_endpoint.api) == 0 && length(aws_vpc_endpoint.dynamodb) == 0 && length(aws_security_group.endpoints) == 0
    error_message = "None are made."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_to_https["10.0.0.0/16"].to_port == 443
    error_message = "The functions may go where the environment's are."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_to_prefix_lists["pl-1"].to_port == 443
    error_message = "To its gateway endpoint as well."
  }
}

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

run "refuses_a_route_table_that_is_none" {
  command = plan

  variables {
    network = merge(var.network, { route_table_ids = ["main"] })
  }

  expect_failures = [var.network]
}
