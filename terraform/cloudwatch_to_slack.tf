module "cloudwatch_to_slack" {
  source = "./modules/lambda_function"

  name              = "cloudwatch_to_slack"
  context           = local.context
  schedules         = var.cloudwatch_to_slack.schedules
  shared_parameters = keys(merge(local.cognito_parameters, local.slack_parameters))

  parameters = { for name, value in var.cloudwatch_to_slack.parameters : name => { value = value } }

  statements = [
    # CloudWatch knows no resource, and no condition, to narrow either by.
    { actions = ["cloudwatch:GetMetricData", "cloudwatch:GetMetricWidgetImage"], resources = ["*"] },
  ]
}
