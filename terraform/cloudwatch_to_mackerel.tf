module "cloudwatch_to_mackerel" {
  source = "./modules/lambda_function"

  name      = "cloudwatch_to_mackerel"
  context   = local.context
  schedules = var.cloudwatch_to_mackerel.schedules

  parameters = merge(
    { for name, value in var.cloudwatch_to_mackerel.parameters : name => { value = value } },
    {
      MACKEREL_API_KEY         = { secret = true }
      AWS_COGNITO_USER_POOL_ID = { value = var.cognito.user_pool_id }
      AWS_COGNITO_CLIENT_ID    = { value = var.cognito.client_id }
    },
  )

  statements = [
    # CloudWatch knows no resource, and no condition, to narrow GetMetricData by.
    { actions = ["cloudwatch:GetMetricData"], resources = ["*"] },
  ]
}
