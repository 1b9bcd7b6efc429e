module "cloudwatch_to_mackerel" {
  source = "./modules/lambda_function"

  name              = "cloudwatch_to_mackerel"
  context           = local.context
  schedules         = var.cloudwatch_to_mackerel.schedules
  shared_parameters = keys(local.cognito_parameters)

  parameters = merge(
    { for name, value in var.cloudwatch_to_mackerel.parameters : name => { value = value } },
    { MACKEREL_API_KEY = { secret = true } },
  )

  statements = [
    # CloudWatch knows no resource, and no condition, to narrow GetMetricData by.
    { actions = ["cloudwatch:GetMetricData"], resources = ["*"] },
  ]
}
