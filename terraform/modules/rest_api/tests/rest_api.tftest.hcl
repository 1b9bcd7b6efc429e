provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

# Where an id is part of what is looked at.
override_resource {
  target          = aws_api_gateway_rest_api.this
  override_during = plan
  values          = { id = "abc123", root_resource_id = "root" }
}
override_resource {
  target          = aws_api_gateway_stage.this
  override_during = plan
  values          = { invoke_url = "https://abc123.execute-api.ap-northeast-1.amazonaws.com/v1" }
}

run "routes" {
  command = plan

  assert {
    condition     = keys(aws_api_gateway_resource.first) == ["samples"] && keys(aws_api_gateway_resource.second) == ["samples/{id}"] && keys(aws_api_gateway_resource.third) == ["samples/{id}/{part}"]
    error_message = "Each place once, however many routes lead through it."
  }
  assert {
    condition     = aws_api_gateway_resource.third["samples/{id}/{part}"].path_part == "{part}" && aws_api_gateway_resource.first["samples"].parent_id == "root"
    error_message = "A place is a part below another."
  }
  assert {
    condition     = aws_api_gateway_method.this["make"].api_key_required && !aws_api_gateway_method.this["look"].api_key_required
    error_message = "A key where it is asked for."
  }
  assert {
    condition = aws_api_gateway_method.this["look"].request_parameters == tomap({
      "method.request.path.id"           = true
      "method.request.path.part"         = true
      "method.request.querystring.token" = true
    })
    error_message = "What stands in the path, and what the query needs."
  }
  assert {
    condition     = aws_api_gateway_method.this["make"].request_models == tomap({ "application/json" = "Sample" })
    error_message = "The body's model."
  }
}

run "triggers_name_the_alias" {
  command = plan

  assert {
    condition     = aws_api_gateway_integration.this["look"].uri == "arn:aws:apigateway:ap-northeast-1:lambda:path/2015-03-31/functions/arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-another:current/invocations"
    error_message = "The alias, before it is made."
  }
  assert {
    condition     = aws_lambda_permission.this["look"].function_name == "mimamori-staging-another" && aws_lambda_permission.this["look"].qualifier == "current"
    error_message = "The permission is the alias's."
  }
  assert {
    condition     = aws_lambda_permission.this["look"].source_arn == "arn:aws:execute-api:ap-northeast-1:123456789012:abc123/v1/GET/samples/*/*"
    error_message = "For this route of this API, and no other."
  }
}

run "stage" {
  command = plan

  variables {
    stage           = "v2"
    stage_variables = { env_type = "verification" }
  }

  assert {
    condition     = aws_api_gateway_stage.this.stage_name == "v2" && aws_api_gateway_stage.this.variables == tomap({ env_type = "verification" })
    error_message = "Its name and what events are told."
  }
  assert {
    condition     = jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).route == "$context.httpMethod $context.resourcePath"
    error_message = "The route is logged, not what stood in it."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/apigateway/mimamori-staging-sample" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Logs are kept for as long as the environment says."
  }
  assert {
    condition     = aws_api_gateway_method_settings.this.method_path == "*/*" && aws_api_gateway_method_settings.this.settings[0].throttling_rate_limit == 0.5
    error_message = "A limit for every route."
  }
}

run "the_address_that_api_gateway_gives" {
  command = plan

  assert {
    condition     = output.base_url == "https://abc123.execute-api.ap-northeast-1.amazonaws.com/v1"
    error_message = "The stage's."
  }
}

run "an_address_of_ones_own" {
  command = plan

  variables {
    base_url = "https://api.example.com/{api_id}/{stage}"
  }

  assert {
    condition     = output.base_url == "https://api.example.com/abc123/v1"
    error_message = "With the API's id and the stage put in."
  }
}

run "paths_of_one_part" {
  command = plan

  variables {
    functions = { sample = "mimamori-staging-sample" }
    routes    = { ping = { function = "sample", method = "GET", path = "ping", key = true } }
  }

  assert {
    condition     = length(aws_api_gateway_resource.second) == 0
    error_message = "No more than there is."
  }
}
