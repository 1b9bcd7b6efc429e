# Runs on variables.tf alone: what is refused needs no provider.
run "refuses_an_env_type_that_is_none_and_an_address_with_a_slash_at_its_end" {
  command = plan

  variables {
    api_base_url     = "https://phone.example.com/"
    phone_escalation = merge(var.phone_escalation, { env_type = "staging" })
  }

  expect_failures = [var.api_base_url, var.phone_escalation]
}

run "refuses_a_timezone_that_is_none_and_an_address_with_an_unknown_word" {
  command = plan

  variables {
    api_base_url     = "https://{api}.example.com"
    phone_escalation = merge(var.phone_escalation, { timezone = "+09:00" })
  }

  expect_failures = [var.api_base_url, var.phone_escalation]
}

run "refuses_a_caller_who_may_not_call" {
  command = plan

  variables {
    phone_escalation = merge(var.phone_escalation, {
      callers = { zabbix = { rate_limit = 0, burst_limit = 1, quota_per_day = 1 } }
    })
  }

  expect_failures = [var.phone_escalation]
}

run "refuses_half_a_call_a_day" {
  command = plan

  variables {
    phone_escalation = merge(var.phone_escalation, {
      callers = { zabbix = { rate_limit = 1, burst_limit = 1, quota_per_day = 0.5 } }
    })
  }

  expect_failures = [var.phone_escalation]
}

run "refuses_a_caller_with_a_name_that_is_none" {
  command = plan

  variables {
    phone_escalation = merge(var.phone_escalation, {
      callers = { "Zabbix 1" = { rate_limit = 1, burst_limit = 1, quota_per_day = 1 } }
    })
  }

  expect_failures = [var.phone_escalation]
}

run "refuses_a_group_that_no_path_can_hold" {
  command = plan

  variables {
    phone_escalation = merge(var.phone_escalation, { alarm_topics = { database = { group_id = "a/b" } } })
  }

  expect_failures = [var.phone_escalation]
}

run "refuses_a_language_without_words" {
  command = plan

  variables {
    phone_escalation = merge(var.phone_escalation, { language = "fr" })
  }

  expect_failures = [var.phone_escalation]
}
