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

run "the_default_stops_on_weekdays_at_nine_in_the_evening" {
  command = plan

  assert {
    condition = jsondecode(module.env_scheduler.contract.environment.SCHEDULES) == [{
      name          = "night"
      days          = ["MON", "TUE", "WED", "THU", "FRI"]
      days_off      = []
      grace_minutes = 0
      holidays      = true
      start         = null
      stop          = "21:00"
      tag           = "night"
      timezone      = "Asia/Tokyo"
    }]
    error_message = "Only its tag has to be said."
  }
  assert {
    condition     = module.env_scheduler.contract.environment.TAG_KEY == "Schedule"
    error_message = "The tag has a usual name."
  }
  assert {
    condition     = module.env_scheduler.contract.environment.STATE_MACHINE_ARN == "arn:aws:states:ap-northeast-1:123456789012:stateMachine:mimamori-staging-env_scheduler"
    error_message = "It is told of its machine before that is made."
  }
}

run "takes_no_schedule_at_all" {
  command = plan

  variables {
    env_scheduler = { schedules = {} }
  }

  assert {
    condition     = module.env_scheduler.contract.environment.SCHEDULES == "[]"
    error_message = "Then nothing may be touched."
  }
}
