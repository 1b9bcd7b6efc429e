# Runs on variables.tf alone: what is refused needs no provider.
run "takes_every_form" {
  command = plan

  variables {
    env_scheduler = {
      tag_key      = "team:Schedule"
      kms_key_arns = ["arn:aws:kms:ap-northeast-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
      schedules = {
        batch = {
          days          = ["SAT", "SUN"]
          start         = "22:15"
          stop          = "05:00"
          timezone      = "America/Argentina/Buenos_Aires"
          holidays      = false
          days_off      = ["12-29..01-03", "02-29", "2026-11-24", "2026-12-30..2027-01-04"]
          tag           = "batch at night"
          grace_minutes = 720
          language      = "en"
          channel       = "C1"
        }
        utc = { timezone = "UTC", stop = "00:00", tag = "u" }
      }
    }
  }

  assert {
    condition     = length(var.env_scheduler.schedules) == 2
    error_message = "Both are taken."
  }
}

run "refuses_a_name_with_a_blank" {
  command = plan

  variables {
    env_scheduler = { schedules = { "at night" = { tag = "night" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_day_that_is_none" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", days = ["MON", "Tue"] } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_no_days" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", days = [] } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_stop_between_two_runs" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", stop = "21:05" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_start_after_midnight_by_the_wrong_clock" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", start = "24:00" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_start_at_the_stop" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", start = "21:00" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_an_offset_for_a_zone" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", timezone = "+09:00" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_date_that_is_none" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", days_off = ["2026-02-29"] } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_range_from_a_date_to_a_day_of_every_year" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", days_off = ["2026-12-29..01-03"] } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_range_of_three" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", days_off = ["12-29..12-30..12-31"] } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_range_that_ends_before_it_begins" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", days_off = ["2027-01-03..2026-12-29"] } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_tag_that_rds_cannot_hold" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night,*" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_two_schedules_of_one_tag" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night" }, evening = { tag = "night", stop = "19:00" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_thirteen_hours_of_grace" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", grace_minutes = 780 } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_language_that_it_does_not_speak" {
  command = plan

  variables {
    env_scheduler = { schedules = { night = { tag = "night", language = "fr" } } }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_tag_key_of_the_schedulers_own" {
  command = plan

  variables {
    env_scheduler = { schedules = {}, tag_key = "mimamori:scheduler" }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_a_key_by_its_alias" {
  command = plan

  variables {
    env_scheduler = { schedules = {}, kms_key_arns = ["arn:aws:kms:ap-northeast-1:123456789012:alias/ebs"] }
  }

  expect_failures = [var.env_scheduler]
}

run "refuses_more_than_lambdas_environment_holds" {
  command = plan

  variables {
    env_scheduler = { schedules = { for number in range(20) : "night-${number}" => { tag = "night-${number}" } } }
  }

  expect_failures = [var.env_scheduler]
}
