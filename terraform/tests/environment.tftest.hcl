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

# The provider would have AWS look at the definition.
override_resource {
  target          = module.env_scheduler_machine.aws_sfn_state_machine.this
  override_during = plan
}

run "staging" {
  command = plan

  assert {
    condition     = strcontains(module.cloudwatch_to_mackerel.contract.name, "mimamori-staging-cloudwatch_to_mackerel")
    error_message = "One prefix for all names."
  }
  assert {
    condition     = length(aws_vpc_endpoint.api) == 3 && length(aws_vpc_security_group_egress_rule.functions_to_endpoints) == 1
    error_message = "Endpoints are made where the environment asks for them."
  }
  assert {
    condition     = alltrue([for service in ["dynamodb", "s3"] : aws_vpc_endpoint.gateway[service].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.gateway[service].route_table_ids == toset(["rtb-1"])])
    error_message = "DynamoDB and S3 are reached by the subnets' routes."
  }
  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.functions_to_gateways) == ["dynamodb", "s3"]
    error_message = "The functions may go there."
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
    condition     = length(aws_vpc_endpoint.api) == 0 && length(aws_vpc_endpoint.gateway) == 0 && length(aws_security_group.endpoints) == 0
    error_message = "None are made."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_to_https["10.0.0.0/16"].to_port == 443
    error_message = "The functions may go where the environment's are."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_to_prefix_lists["pl-1"].to_port == 443
    error_message = "To its gateway endpoints as well."
  }
}
