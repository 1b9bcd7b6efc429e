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

run "callers_and_topics" {
  command = plan

  assert {
    condition     = module.phone_call.contract.environment.ENV_TYPE == "verification" && module.phone_api.stage == "v1"
    error_message = "A rehearsal is told from the real thing."
  }
  assert {
    condition     = keys(aws_api_gateway_api_key.caller) == ["zabbix"] && aws_api_gateway_usage_plan.caller["zabbix"].quota_settings[0].limit == 1
    error_message = "A key and a plan for each caller."
  }
  assert {
    condition     = aws_sns_topic.phone["database"].name == "mimamori-staging-phone-database"
    error_message = "A topic for each group that alarms may call."
  }
  assert {
    condition     = length(aws_api_gateway_account.this) == 1 && length(aws_iam_role.api_gateway) == 1
    error_message = "API Gateway may write logs."
  }
}

run "what_is_said" {
  command = plan

  variables {
    alarm_actions = ["arn:aws:sns:ap-northeast-1:123456789012:operations"]
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["phone-alarm-lost"].metric_name == "PhoneAlarmLost" && aws_cloudwatch_metric_alarm.this["phone-roster-problem"].metric_name == "PhoneRosterProblem"
    error_message = "Somebody is told of what the phone could not do."
  }
  assert {
    condition     = alltrue([for name in ["phone-alarm-lost", "phone-roster-problem"] : aws_cloudwatch_metric_alarm.this[name].dimensions == tomap({ Environment = "staging" })])
    error_message = "Of this environment alone."
  }
}

run "neither_callers_nor_topics_nor_an_account_role" {
  command = plan

  variables {
    api_gateway_account_role = false
    api_base_url             = "https://phone.example.com/{stage}"
    phone_escalation         = { env_type = "production", callers = {} }
  }

  assert {
    condition     = length(aws_api_gateway_account.this) == 0 && length(aws_iam_role.api_gateway) == 0
    error_message = "Where the account has a role, it is left alone."
  }
  assert {
    condition     = length(aws_api_gateway_usage_plan.caller) == 0 && length(aws_sns_topic_subscription.phone) == 0
    error_message = "Nobody may call."
  }
}
