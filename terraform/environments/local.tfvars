environment       = "local"
path_to_parameter = "/myApp"

log_retention_days = 1

# network, database and cognito change with every new laptop stack: they come from what local/estate
# puts out, as TF_VAR_network, TF_VAR_database and TF_VAR_cognito. TF_VAR_api_base_url has the
# stack's port, and so has TF_VAR_google_credentials.

# The emulator forgets an endpoint's security groups and private DNS, so no plan would come out clean;
# it is reached over loopback anyway.
vpc_endpoints            = false
https_egress_cidr_blocks = ["127.0.0.0/8"]

cloudwatch_to_mackerel = {
  schedules = {
    every-minute = {
      expression  = "rate(1 minute)"
      description = "Every minute, so that nobody at a laptop has to wait"
      input       = <<-JSON
        {"environment": "local", "mackerel_service": "ore-no-service", "path_to_parameter": "/myApp"}
      JSON
    }
  }
}

cloudwatch_to_slack = {
  schedules = {
    every-morning = {
      expression  = "cron(0 0 * * ? *)" # UTC
      description = "09:00 in Tokyo, every day"
      input       = <<-JSON
        {"channel": "C0123456789"}
      JSON
    }
  }
}

db_to_cloudwatch = {
  schedules = {
    every-minute = {
      expression  = "rate(1 minute)"
      description = "Every minute"
      input       = "{}"
    }
  }
}

phone_escalation = {
  env_type      = "production" # the phones are played
  slack_channel = "C0123456789"
  callers = {
    zabbix = { rate_limit = 50, burst_limit = 200, quota_per_day = 20000 }
    efk    = { rate_limit = 1, burst_limit = 5, quota_per_day = 50 } # soon at its limits, to see them
  }
  alarm_topics = {
    database = { group_id = "database" }
  }
}

env_scheduler = {
  schedules = {
    office-hours = {
      start   = "08:00"
      stop    = "21:00"
      tag     = "office-hours"
      channel = "C0123456789"
      enabled = false # it must not put the estate to sleep while somebody shows it to others
    }
  }
  tag_condition = false # the emulator knows no aws:ResourceTag, and would let nothing through
}

data_export = {
  mail_from     = "exports@example.com"
  lease_seconds = 6     # nobody at a laptop waits a minute and a half for what was killed
  tls_only      = false # the emulator speaks http, and would let nothing through
}

kpi_to_bigquery = {
  project       = "laptop-project"
  dataset       = "kpis"
  retry_seconds = 2
  tls_only      = false # as in data_export
  schedules = {
    every-morning = {
      expression  = "cron(0 21 * * ? *)" # UTC
      description = "06:00 in Tokyo, every day"
      input       = <<-JSON
        {"group": "daily"}
      JSON
    }
  }
}
