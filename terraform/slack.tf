# What every function that writes to Slack needs to know.

locals {
  slack_parameters = {
    SLACK_BOT_TOKEN = { secret = true }
  }
}

module "slack_parameters" {
  source = "./modules/parameters"

  path       = local.context.parameter_path
  parameters = local.slack_parameters
}

# Where the token was filled in before functions shared it, it stays filled.
moved {
  from = module.cloudwatch_to_slack.module.parameters.aws_ssm_parameter.secret["SLACK_BOT_TOKEN"]
  to   = module.slack_parameters.aws_ssm_parameter.secret["SLACK_BOT_TOKEN"]
}
