# Runs on variables.tf alone: what is refused needs no provider.
run "takes_the_ends_of_every_range" {
  command = plan

  variables {
    alarm_actions = ["arn:aws:sns:ap-northeast-1:123456789012:operations"]
    data_export = {
      mail_from            = "no-reply+exports@mail.example.co.jp"
      link_days            = 1
      lease_seconds        = 600
      reserved_concurrency = 2
      base_url             = "https://{api_id}.example.com/{stage}"
    }
  }

  assert {
    condition     = var.data_export.link_days == 1
    error_message = "They are taken."
  }
}

run "refuses_a_sender_with_a_name" {
  command = plan

  variables {
    data_export = merge(var.data_export, { mail_from = "Exports <exports@example.com>" })
  }

  expect_failures = [var.data_export]
}

run "refuses_a_sender_without_a_domain" {
  command = plan

  variables {
    data_export = merge(var.data_export, { mail_from = "exports@localhost" })
  }

  expect_failures = [var.data_export]
}

run "refuses_no_day" {
  command = plan

  variables {
    data_export = merge(var.data_export, { link_days = 0 })
  }

  expect_failures = [var.data_export]
}

run "refuses_a_month_of_31_days" {
  command = plan

  variables {
    data_export = merge(var.data_export, { link_days = 31 })
  }

  expect_failures = [var.data_export]
}

run "refuses_half_a_day" {
  command = plan

  variables {
    data_export = merge(var.data_export, { link_days = 1.5 })
  }

  expect_failures = [var.data_export]
}

run "refuses_an_address_with_a_slash_at_its_end" {
  command = plan

  variables {
    data_export = merge(var.data_export, { base_url = "https://exports.example.com/" })
  }

  expect_failures = [var.data_export]
}

run "refuses_an_address_with_an_unknown_word" {
  command = plan

  variables {
    data_export = merge(var.data_export, { base_url = "https://{api}.example.com" })
  }

  expect_failures = [var.data_export]
}

run "refuses_an_empty_replica" {
  command = plan

  variables {
    data_export = merge(var.data_export, { replica_host = "" })
  }

  expect_failures = [var.data_export]
}

run "refuses_an_offset_for_a_zone" {
  command = plan

  variables {
    data_export = merge(var.data_export, { timezone = "+09:00" })
  }

  expect_failures = [var.data_export]
}

run "refuses_one_at_once_where_the_queue_brings_two" {
  command = plan

  variables {
    data_export = merge(var.data_export, { reserved_concurrency = 1 })
  }

  expect_failures = [var.data_export]
}

run "refuses_none_at_all_at_once" {
  command = plan

  variables {
    data_export = merge(var.data_export, { reserved_concurrency = 0 })
  }

  expect_failures = [var.data_export]
}

run "refuses_a_lease_of_two_seconds" {
  command = plan

  variables {
    data_export = merge(var.data_export, { lease_seconds = 2 })
  }

  expect_failures = [var.data_export]
}

run "refuses_a_lease_of_eleven_minutes" {
  command = plan

  variables {
    data_export = merge(var.data_export, { lease_seconds = 660 })
  }

  expect_failures = [var.data_export]
}

run "refuses_a_topic_by_its_name" {
  command = plan

  variables {
    alarm_actions = ["operations"]
  }

  expect_failures = [var.alarm_actions]
}
