# The API: for monitoring systems, each with a key, and for Twilio.

locals {
  phone_stage = "v1"

  phone_routes = {
    call = {
      function   = "phone_call"
      method     = "POST"
      path       = "phonecall/{groupId}"
      key        = true
      parameters = { path = ["groupId"], querystring = [] }
    }
    status = {
      function   = "phone_call"
      method     = "GET"
      path       = "phonecall/{groupId}"
      key        = true
      parameters = { path = ["groupId"], querystring = ["token"] }
    }
    # Twilio sends no key: its signature and the token are looked at in the function.
    webhook = {
      function   = "phone_callback"
      method     = "POST"
      path       = "phonecall/{groupId}/{cont}"
      key        = false
      parameters = { path = ["groupId", "cont"], querystring = ["token"] }
    }
  }
  phone_names = {
    phone_call     = module.phone_call.contract.name
    phone_callback = module.phone_callback.contract.name
  }
  phone_resources = {
    "phonecall/{groupId}"        = aws_api_gateway_resource.phonecall_group.id
    "phonecall/{groupId}/{cont}" = aws_api_gateway_resource.phonecall_cont.id
  }

  phone_base_url = var.api_base_url == null ? aws_api_gateway_stage.phonecall.invoke_url : replace(
    replace(var.api_base_url, "{api_id}", aws_api_gateway_rest_api.phonecall.id), "{stage}", local.phone_stage
  )
}

resource "aws_api_gateway_rest_api" "phonecall" {
  name        = "${local.prefix}phonecall"
  description = "Phones the people on duty"

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_resource" "phonecall" {
  rest_api_id = aws_api_gateway_rest_api.phonecall.id
  parent_id   = aws_api_gateway_rest_api.phonecall.root_resource_id
  path_part   = "phonecall"
}

resource "aws_api_gateway_resource" "phonecall_group" {
  rest_api_id = aws_api_gateway_rest_api.phonecall.id
  parent_id   = aws_api_gateway_resource.phonecall.id
  path_part   = "{groupId}"
}

resource "aws_api_gateway_resource" "phonecall_cont" {
  rest_api_id = aws_api_gateway_rest_api.phonecall.id
  parent_id   = aws_api_gateway_resource.phonecall_group.id
  path_part   = "{cont}"
}

# Says what a body may hold, to those who read or export the API. The validator leaves bodies to the
# function: API Gateway holds an empty one against the model as well, and a plain POST with all in
# its query must pass; and its refusal names no field, while the function's does.
resource "aws_api_gateway_model" "phonecall" {
  rest_api_id  = aws_api_gateway_rest_api.phonecall.id
  name         = "PhoneCall"
  description  = "Which message to say, and what to put in"
  content_type = "application/json"
  schema = jsonencode({
    "$schema"            = "http://json-schema.org/draft-04/schema#"
    title                = "PhoneCall"
    type                 = "object"
    additionalProperties = false
    properties = {
      messageId       = { type = "string" }
      variableMessage = { anyOf = [{ type = "string" }, { type = "array", items = { type = "string" } }] }
    }
  })
}

resource "aws_api_gateway_request_validator" "parameters" {
  rest_api_id                 = aws_api_gateway_rest_api.phonecall.id
  name                        = "parameters"
  validate_request_parameters = true
  validate_request_body       = false
}

resource "aws_api_gateway_method" "phonecall" {
  for_each = local.phone_routes

  rest_api_id          = aws_api_gateway_rest_api.phonecall.id
  resource_id          = local.phone_resources[each.value.path]
  http_method          = each.value.method
  authorization        = "NONE"
  api_key_required     = each.value.key
  request_validator_id = aws_api_gateway_request_validator.parameters.id
  request_models       = each.key == "call" ? { "application/json" = aws_api_gateway_model.phonecall.name } : {}
  request_parameters = merge([
    for place, names in each.value.parameters : { for name in names : "method.request.${place}.${name}" => true }
  ]...)
}

resource "aws_api_gateway_integration" "phonecall" {
  for_each = local.phone_routes

  rest_api_id             = aws_api_gateway_rest_api.phonecall.id
  resource_id             = local.phone_resources[each.value.path]
  http_method             = aws_api_gateway_method.phonecall[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  # The alias by its name: the functions are told where this API is reached, so it comes before them.
  uri = join("", [
    "arn:${local.context.partition}:apigateway:${local.context.region}:lambda:path/2015-03-31/functions/",
    "arn:${local.context.partition}:lambda:${local.context.region}:${local.context.account_id}:function:",
    "${local.prefix}${each.value.function}:current/invocations",
  ])
}

resource "aws_lambda_permission" "phonecall" {
  for_each = local.phone_routes

  statement_id  = "api-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = local.phone_names[each.value.function]
  qualifier     = "current"
  principal     = "apigateway.amazonaws.com"
  source_arn = join("/", [
    "arn:${local.context.partition}:execute-api:${local.context.region}:${local.context.account_id}:${aws_api_gateway_rest_api.phonecall.id}",
    local.phone_stage,
    each.value.method,
    replace(each.value.path, "/\\{\\w+\\}/", "*"),
  ])
}

# A stage serves what was deployed last, so every change of the routes has to make another. Whole
# resources would not do as triggers: what an API gives back for an unset attribute differs from it.
resource "aws_api_gateway_deployment" "phonecall" {
  rest_api_id = aws_api_gateway_rest_api.phonecall.id

  triggers = {
    routes = sha1(jsonencode([
      local.phone_routes,
      aws_api_gateway_model.phonecall.schema,
      [for integration in aws_api_gateway_integration.phonecall : integration.uri],
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_method.phonecall]
}

resource "aws_api_gateway_stage" "phonecall" {
  rest_api_id   = aws_api_gateway_rest_api.phonecall.id
  deployment_id = aws_api_gateway_deployment.phonecall.id
  stage_name    = local.phone_stage
  variables     = { env_type = var.phone_escalation.env_type }

  # Never the path as it was asked for, nor the query: a token is all that it takes to look in.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.phonecall.arn
    format = jsonencode({
      request_id        = "$context.requestId"
      time              = "$context.requestTime"
      ip                = "$context.identity.sourceIp"
      api_key_id        = "$context.identity.apiKeyId"
      route             = "$context.httpMethod $context.resourcePath"
      status            = "$context.status"
      latency_ms        = "$context.responseLatency"
      refusal           = "$context.error.responseType"
      integration_error = "$context.integration.error"
    })
  }

  depends_on = [aws_api_gateway_account.this]
}

resource "aws_cloudwatch_log_group" "phonecall" {
  name              = "/aws/apigateway/${local.prefix}phonecall"
  retention_in_days = var.log_retention_days
}

# The open route's own limit: Twilio needs some ten requests a call.
resource "aws_api_gateway_method_settings" "phonecall_webhook" {
  rest_api_id = aws_api_gateway_rest_api.phonecall.id
  stage_name  = aws_api_gateway_stage.phonecall.stage_name
  method_path = "${local.phone_routes.webhook.path}/${local.phone_routes.webhook.method}"

  settings {
    throttling_rate_limit  = 50
    throttling_burst_limit = 100
  }
}

resource "aws_api_gateway_api_key" "caller" {
  for_each = var.phone_escalation.callers

  name        = "${local.prefix}phonecall-${each.key}"
  description = "Of the caller ${each.key}"
  # AWS would make one by itself, an emulator may not; either way 32 characters that nobody wrote.
  value = replace(uuid(), "-", "")

  lifecycle {
    ignore_changes = [value]
  }
}

resource "aws_api_gateway_usage_plan" "caller" {
  for_each = var.phone_escalation.callers

  name        = "${local.prefix}phonecall-${each.key}"
  description = "Of the caller ${each.key}"

  api_stages {
    api_id = aws_api_gateway_rest_api.phonecall.id
    stage  = aws_api_gateway_stage.phonecall.stage_name
  }
  throttle_settings {
    rate_limit  = each.value.rate_limit
    burst_limit = each.value.burst_limit
  }
  quota_settings {
    limit  = each.value.quota_per_day
    period = "DAY"
  }
}

resource "aws_api_gateway_usage_plan_key" "caller" {
  for_each = var.phone_escalation.callers

  key_id        = aws_api_gateway_api_key.caller[each.key].id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.caller[each.key].id
}
