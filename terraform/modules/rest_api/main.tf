locals {
  name = "${var.context.prefix}${var.name}"

  paths = distinct([for route in var.routes : route.path])
  # The places that the paths lead through: those of one part, of two, and of three.
  places = [for depth in [1, 2, 3] : toset([
    for path in local.paths : join("/", slice(split("/", path), 0, depth)) if length(split("/", path)) >= depth
  ])]
  resource_ids = { for path, resource in merge(
    aws_api_gateway_resource.first,
    aws_api_gateway_resource.second,
    aws_api_gateway_resource.third,
  ) : path => resource.id }

  base_url = var.base_url == null ? aws_api_gateway_stage.this.invoke_url : replace(
    replace(var.base_url, "{api_id}", aws_api_gateway_rest_api.this.id), "{stage}", var.stage
  )
}

resource "aws_api_gateway_rest_api" "this" {
  name        = local.name
  description = var.description

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

# A resource cannot refer to others of its own, so each depth is one.
resource "aws_api_gateway_resource" "first" {
  for_each = local.places[0]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = each.value
}

resource "aws_api_gateway_resource" "second" {
  for_each = local.places[1]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.first[dirname(each.value)].id
  path_part   = basename(each.value)
}

resource "aws_api_gateway_resource" "third" {
  for_each = local.places[2]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.second[dirname(each.value)].id
  path_part   = basename(each.value)
}

# Bodies are left to the function: API Gateway holds an empty one against a model as well, and its
# refusal names no field, while the function's does.
resource "aws_api_gateway_request_validator" "parameters" {
  rest_api_id                 = aws_api_gateway_rest_api.this.id
  name                        = "parameters"
  validate_request_parameters = true
  validate_request_body       = false
}

resource "aws_api_gateway_method" "this" {
  for_each = var.routes

  rest_api_id          = aws_api_gateway_rest_api.this.id
  resource_id          = local.resource_ids[each.value.path]
  http_method          = each.value.method
  authorization        = "NONE"
  api_key_required     = each.value.key
  request_validator_id = aws_api_gateway_request_validator.parameters.id
  request_models       = each.value.models
  request_parameters = merge(
    { for name in flatten(regexall("\\{(\\w+)\\}", each.value.path)) : "method.request.path.${name}" => true },
    { for name in each.value.querystring : "method.request.querystring.${name}" => true },
  )
}

resource "aws_api_gateway_integration" "this" {
  for_each = var.routes

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = local.resource_ids[each.value.path]
  http_method             = aws_api_gateway_method.this[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  # The alias by its name: a function may be told where this API is reached, so the API comes first.
  uri = join("", [
    "arn:${var.context.partition}:apigateway:${var.context.region}:lambda:path/2015-03-31/functions/",
    "arn:${var.context.partition}:lambda:${var.context.region}:${var.context.account_id}:function:",
    "${var.context.prefix}${each.value.function}:current/invocations",
  ])
}

resource "aws_lambda_permission" "this" {
  for_each = var.routes

  statement_id  = "api-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = var.functions[each.value.function]
  qualifier     = "current"
  principal     = "apigateway.amazonaws.com"
  source_arn = join("/", [
    "arn:${var.context.partition}:execute-api:${var.context.region}:${var.context.account_id}:${aws_api_gateway_rest_api.this.id}",
    var.stage,
    each.value.method,
    replace(each.value.path, "/\\{\\w+\\}/", "*"),
  ])
}

# A stage serves what was deployed last, so every change of the routes has to make another. Whole
# resources would not do as triggers: what an API gives back for an unset attribute differs from it.
resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  triggers = {
    routes = sha1(jsonencode([
      var.routes,
      var.redeploy_on,
      [for integration in aws_api_gateway_integration.this : integration.uri],
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_method.this]
}

resource "aws_api_gateway_stage" "this" {
  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = var.stage
  variables     = var.stage_variables

  # Never the path as it was asked for, nor the query: a token is all that it takes to look in.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.this.arn
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
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/apigateway/${local.name}"
  retention_in_days = var.context.log_retention_days
}

resource "aws_api_gateway_method_settings" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.throttle.rate_limit
    throttling_burst_limit = var.throttle.burst_limit
  }
}
