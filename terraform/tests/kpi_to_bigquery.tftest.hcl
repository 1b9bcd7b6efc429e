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

run "what_is_not_said" {
  command = plan

  assert {
    condition     = module.kpi_bucket.name == "mimamori-staging-kpis-123456789012" && module.kpi_queue.dead_name == "mimamori-staging-kpis-dead"
    error_message = "A name that no other account has."
  }
  assert {
    condition     = module.s3_to_bigquery.contract.environment.BIGQUERY_LOCATION == "asia-northeast1" && module.s3_to_bigquery.contract.environment.BIGQUERY_PROJECT == "example-kpis"
    error_message = "BigQuery is in Tokyo."
  }
  assert {
    condition     = module.kpi_to_s3.contract.environment.KPI_BUCKET == module.s3_to_bigquery.contract.environment.KPI_BUCKET
    error_message = "Both use one bucket."
  }
  assert {
    condition     = jsondecode(data.aws_iam_policy_document.kpi_queue.json).Statement[0].Principal.Service == "s3.amazonaws.com" && jsondecode(data.aws_iam_policy_document.kpi_queue.json).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "S3 sends, and for this account only."
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
    kpi_to_bigquery = {
      project       = "example-kpis"
      dataset       = "numbers"
      location      = "US"
      archive_days  = 400
      tls_only      = false
      force_destroy = true
      schedules = {
        weekly = {
          expression  = "cron(0 21 ? * SUN *)"
          description = "06:00 in Tokyo, Monday"
          input       = "{\"group\": \"weekly\"}"
        }
      }
    }
  }

  assert {
    condition     = module.s3_to_bigquery.contract.environment.BIGQUERY_LOCATION == "US" && output.kpi_to_bigquery.dataset == "numbers"
    error_message = "The function is told."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["kpis-dead"].dimensions.QueueName == "mimamori-staging-kpis-dead"
    error_message = "A file that cannot be loaded is seen."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["kpis-failed"].dimensions.FunctionName == "mimamori-staging-kpi_to_s3" && aws_cloudwatch_metric_alarm.this["kpis-failed"].metric_name == "Errors"
    error_message = "A KPI that cannot be counted is seen."
  }
}
