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

# Where an API's id is part of what is looked at.
override_resource {
  target          = module.phone_api.aws_api_gateway_rest_api.this
  override_during = plan
  values          = { id = "def456" }
}
override_resource {
  target          = module.export_api.aws_api_gateway_rest_api.this
  override_during = plan
  values          = { id = "abc123" }
}
override_resource {
  target          = module.export_api.aws_api_gateway_stage.this
  override_during = plan
  values          = { invoke_url = "https://abc123.execute-api.ap-northeast-1.amazonaws.com/v1" }
}

run "what_is_not_said" {
  command = plan

  variables {
    api_base_url = "https://phone.example.com/{stage}"
  }

  assert {
    condition     = module.export_bucket.name == "mimamori-staging-exports-123456789012"
    error_message = "A name that no other account has."
  }
  assert {
    condition     = length(aws_sesv2_email_identity.exports) == 1
    error_message = "The sender is verified."
  }
  assert {
    condition     = module.data_export.contract.environment.LEASE_SECONDS == "90" && module.data_export.contract.environment.LINK_DAYS == "7"
    error_message = "A week, and a minute and a half."
  }
  assert {
    condition     = module.data_export.contract.environment.DATABASE_REPLICA_HOST == "" && module.export_mail.contract.environment.TIMEZONE == "Asia/Tokyo"
    error_message = "The database itself, and the time of Tokyo."
  }
  assert {
    condition     = module.export_mail.contract.environment.PUBLIC_BASE_URL == "https://abc123.execute-api.ap-northeast-1.amazonaws.com/v1"
    error_message = "Links lead where API Gateway is, not to the phones."
  }
  assert {
    condition     = module.phone_api.base_url == "https://phone.example.com/v1"
    error_message = "An address without an id in it is one API's."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0
    error_message = "No alarms where nobody is told."
  }
}

run "what_is_said" {
  command = plan

  variables {
    alarm_actions = ["arn:aws:sns:ap-northeast-1:123456789012:operations"]
    api_base_url  = "https://{api_id}.example.com/{stage}"
    data_export = {
      mail_from            = "exports@example.com"
      mail_identity        = false
      link_days            = 30
      replica_host         = "replica.example.com"
      timezone             = "UTC"
      reserved_concurrency = -1
      lease_seconds        = 3
      tls_only             = false
      force_destroy        = true
    }
  }

  assert {
    condition     = length(aws_sesv2_email_identity.exports) == 0
    error_message = "It can be left out."
  }
  assert {
    condition     = module.data_export.contract.environment.DATABASE_REPLICA_HOST == "replica.example.com" && module.data_export.contract.environment.LEASE_SECONDS == "3"
    error_message = "The function is told."
  }
  assert {
    condition     = module.export_mail.contract.environment.PUBLIC_BASE_URL == "https://abc123.example.com/v1"
    error_message = "A base that knows its API is every API's."
  }
  assert {
    condition     = length(setsubtract(["exports-dead", "exports-given-up", "exports-mails-dead", "exports-mails-refused", "exports-unmailed"], keys(aws_cloudwatch_metric_alarm.this))) == 0
    error_message = "Somebody is told of each."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.threshold == 1 && alarm.treat_missing_data == "notBreaching" && alarm.alarm_actions == var.alarm_actions])
    error_message = "At the first, and not when there is nothing to count."
  }
}

run "an_address_of_the_exports_own" {
  command = plan

  variables {
    api_base_url = "https://{api_id}.example.com/{stage}"
    data_export  = { mail_from = "exports@example.com", base_url = "https://exports.example.com" }
  }

  assert {
    condition     = module.export_mail.contract.environment.PUBLIC_BASE_URL == "https://exports.example.com"
    error_message = "Its own goes before all others."
  }
}
