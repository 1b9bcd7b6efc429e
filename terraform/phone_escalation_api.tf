# The API: for monitoring systems, each with a key, and for Twilio.

module "phone_api" {
  source = "./modules/rest_api"

  name            = "phonecall"
  description     = "Phones the people on duty"
  context         = local.context
  stage_variables = { env_type = var.phone_escalation.env_type }
  base_url        = var.api_base_url
  redeploy_on     = [aws_api_gateway_model.phonecall.schema]

  routes = {
    call = {
      function = "phone_call"
      method   = "POST"
      path     = "phonecall/{groupId}"
      key      = true
      models   = { "application/json" = aws_api_gateway_model.phonecall.name }
    }
    status = {
      function    = "phone_call"
      method      = "GET"
      path        = "phonecall/{groupId}"
      key         = true
      querystring = ["token"]
    }
    # Twilio sends no key: its signature and the token are looked at in the function.
    webhook = {
      function    = "phone_callback"
      method      = "POST"
      path        = "phonecall/{groupId}/{cont}"
      querystring = ["token"]
    }
  }
  throttle = { rate_limit = 50, burst_limit = 100 } # Twilio needs some ten requests a call
  functions = {
    phone_call     = module.phone_call.contract.name
    phone_callback = module.phone_callback.contract.name
  }

  # A stage with logs is refused without it.
  depends_on = [aws_api_gateway_account.this]
}

# Says what a body may hold, to those who read or export the API. No request is held against it: a
# plain POST with all in its query must pass.
resource "aws_api_gateway_model" "phonecall" {
  rest_api_id  = module.phone_api.id
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
      dedupKey        = { type = "string" }
      variableMessage = { anyOf = [{ type = "string" }, { type = "array", items = { type = "string" } }] }
    }
  })
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
    api_id = module.phone_api.id
    stage  = module.phone_api.stage
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

# Where the API was made before another shared its module, it stays the one that it is.
moved {
  from = aws_api_gateway_rest_api.phonecall
  to   = module.phone_api.aws_api_gateway_rest_api.this
}
moved {
  from = aws_api_gateway_resource.phonecall
  to   = module.phone_api.aws_api_gateway_resource.first["phonecall"]
}
moved {
  from = aws_api_gateway_resource.phonecall_group
  to   = module.phone_api.aws_api_gateway_resource.second["phonecall/{groupId}"]
}
moved {
  from = aws_api_gateway_resource.phonecall_cont
  to   = module.phone_api.aws_api_gateway_resource.third["phonecall/{groupId}/{cont}"]
}
moved {
  from = aws_api_gateway_request_validator.parameters
  to   = module.phone_api.aws_api_gateway_request_validator.parameters
}
moved {
  from = aws_api_gateway_method.phonecall
  to   = module.phone_api.aws_api_gateway_method.this
}
moved {
  from = aws_api_gateway_integration.phonecall
  to   = module.phone_api.aws_api_gateway_integration.this
}
moved {
  from = aws_lambda_permission.phonecall
  to   = module.phone_api.aws_lambda_permission.this
}
moved {
  from = aws_api_gateway_deployment.phonecall
  to   = module.phone_api.aws_api_gateway_deployment.this
}
moved {
  from = aws_api_gateway_stage.phonecall
  to   = module.phone_api.aws_api_gateway_stage.this
}
moved {
  from = aws_cloudwatch_log_group.phonecall
  to   = module.phone_api.aws_cloudwatch_log_group.this
}
moved {
  from = aws_api_gateway_method_settings.phonecall_webhook
  to   = module.phone_api.aws_api_gateway_method_settings.this["webhook"]
}
