# Example values: change what is marked with EXAMPLE to what your staging has.
environment       = "staging"
path_to_parameter = "/myApp"

log_retention_days = 30

network = {
  vpc_id          = "vpc-0a1b2c3d4e5f60718"                                  # EXAMPLE
  subnet_ids      = ["subnet-0a1b2c3d4e5f60718", "subnet-0b2c3d4e5f6071829"] # EXAMPLE: private, in two zones
  route_table_ids = ["rtb-0a1b2c3d4e5f60718"]                                # EXAMPLE: of these subnets
}

# false, and https_egress_cidr_blocks set, where the VPC has endpoints or a NAT gateway of its own.
vpc_endpoints = true

database = {
  host              = "myapp-staging.cluster-ro-abcdefghijkl.ap-northeast-1.rds.amazonaws.com" # EXAMPLE
  port              = 3306
  name              = "myapp"                # EXAMPLE
  user              = "mimamori"             # EXAMPLE: a user with SELECT and no more
  security_group_id = "sg-0b2c3d4e5f6071829" # EXAMPLE
  ca                = "rds"                  # as is without a word: signed by RDS itself
}

cognito = {
  user_pool_id = "ap-northeast-1_ExAmPlE1"     # EXAMPLE
  client_id    = "1example1234567890abcdefghi" # EXAMPLE
}

cloudwatch_to_mackerel = {
  schedules = {
    every-5-minutes = {
      expression  = "rate(5 minutes)"
      description = "Every five minutes"
      input       = <<-JSON
        {"environment": "staging", "mackerel_service": "myApp-staging", "path_to_parameter": "/myApp"}
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
        {"channel": "C0123STAGING"}
      JSON
    }
  }
}

db_to_cloudwatch = {
  schedules = {
    office-hours = {
      expression  = "cron(* 0-9 ? * MON-FRI *)" # UTC
      description = "Every minute, Monday to Friday 09:00 to 18:59 in Tokyo"
      input       = "{}"
    }
  }
}

phone_escalation = {
  env_type = "verification"
  callers = {
    zabbix = { rate_limit = 5, burst_limit = 20, quota_per_day = 500 }
    efk    = { rate_limit = 2, burst_limit = 10, quota_per_day = 200 }
  }
  alarm_topics = {
    database = { group_id = "database" }
  }
}

# What has the tag Schedule = office-hours is stopped at night; who needs it starts it.
env_scheduler = {
  schedules = {
    office-hours = {
      stop     = "21:00"
      days_off = ["12-29..01-03"]
      tag      = "office-hours"
      channel  = "C0123STAGING"
    }
  }
}

data_export = {
  mail_from = "exports-staging@example.com" # EXAMPLE: SES mails it a link, which has to be opened once

  # 3 of the account's concurrency are kept; a new account has 10 in all, and none to keep.
  reserved_concurrency = -1
}

kpi_to_bigquery = {
  project      = "example-kpis-staging" # EXAMPLE
  dataset      = "kpis"
  archive_days = 90
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

# EXAMPLE: what `gcloud iam workload-identity-pools create-cred-config … --aws` writes.
google_credentials = <<-JSON
  {
    "universe_domain": "googleapis.com",
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/mimamori-aws/providers/mimamori",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/mimamori@example-kpis-staging.iam.gserviceaccount.com:generateAccessToken",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {
      "environment_id": "aws1",
      "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
      "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
      "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    }
  }
JSON
