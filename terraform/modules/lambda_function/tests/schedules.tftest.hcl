provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

run "schedules" {
  command = plan

  variables {
    schedules = {
      morning = {
        expression  = "cron(0 22 ? * SUN-THU *)"
        description = "Weekdays 07:00 in Tokyo"
        input       = <<-JSON
          {
            "environment": "staging"
          }
        JSON
      }
      resting = { expression = "rate(1 day)", description = "Once a day", input = "{}", enabled = false }
    }
  }

  assert {
    condition     = aws_cloudwatch_event_rule.this["morning"].name == "mimamori-staging-sample-morning" && aws_cloudwatch_event_rule.this["morning"].schedule_expression == "cron(0 22 ? * SUN-THU *)"
    error_message = "A rule a schedule."
  }
  assert {
    condition     = aws_cloudwatch_event_rule.this["morning"].state == "ENABLED" && aws_cloudwatch_event_rule.this["resting"].state == "DISABLED"
    error_message = "Enabled unless it says otherwise."
  }
  assert {
    condition     = aws_cloudwatch_event_target.this["morning"].rule == aws_cloudwatch_event_rule.this["morning"].name && aws_cloudwatch_event_target.this["morning"].input == "{\"environment\":\"staging\"}"
    error_message = "The payload is the rule's input."
  }
  assert {
    condition     = alltrue([for permission in aws_lambda_permission.schedule : permission.qualifier == "current" && permission.principal == "events.amazonaws.com"])
    error_message = "EventBridge may call the alias."
  }
  assert {
    condition     = length(aws_lambda_permission.schedule) == 2
    error_message = "A permission a schedule."
  }
}

run "takes_every_form_of_expression" {
  command = plan

  variables {
    schedules = {
      for index, expression in [
        "rate(1 minute)", "rate(2 minutes)", "rate(1 hour)", "rate(12 hours)", "rate(1 day)", "rate(10 days)",
        "cron(0/15 * * * ? *)", "cron(* 0-9 ? * MON-FRI *)", "cron(0 0 L * ? *)", "cron(0 0 15W 1,7 ? 2026-2030)",
        "cron(0 8 ? JAN-MAR 2#1 *)", "cron(30 1 ? * 5L *)",
      ] : "s${index}" => { expression = expression, description = "x", input = "{}" }
    }
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.this) == 12
    error_message = "EventBridge takes them all."
  }
}

run "takes_a_name_that_makes_64_characters" {
  command = plan

  variables {
    schedules = { aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = { expression = "rate(5 minutes)", description = "x", input = "{}" } }
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.this["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"].name) == 64
    error_message = "EventBridge takes 64."
  }
}

run "takes_8192_bytes_of_input" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = "x", input = jsonencode({ a = format("%-8184s", "x") }) } }
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.this["s"].input) == 8192
    error_message = "EventBridge takes 8192 bytes."
  }
}

run "takes_a_description_of_512_characters" {
  command = plan

  variables {
    schedules = { s = { expression = "rate(5 minutes)", description = format("%-512s", "x"), input = "{}" } }
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.this["s"].description) == 512
    error_message = "EventBridge takes 512."
  }
}
