module "cloudwatch_to_slack" {
  source = "./modules/lambda_function"

  name              = "cloudwatch_to_slack"
  context           = local.context
  schedules         = var.cloudwatch_to_slack.schedules
  shared_parameters = keys(local.cognito_parameters)

  parameters = merge(
    { for name, value in var.cloudwatch_to_slack.parameters : name => { value = value } },
    { SLACK_BOT_TOKEN = { secret = true } },
  )

  statements = [
    # CloudWatch knows no resource, and no condition, to narrow either by.
    { actions = ["cloudwatch:GetMetricData", "cloudwatch:GetMetricWidgetImage"], resources = ["*"] },
  ]
}
