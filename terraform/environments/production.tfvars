# Example values: change what is marked with EXAMPLE to what your production has.
environment       = "production"
path_to_parameter = "/myApp"

log_retention_days = 365

network = {
  vpc_id          = "vpc-0c3d4e5f60718293a"                                  # EXAMPLE
  subnet_ids      = ["subnet-0c3d4e5f60718293a", "subnet-0d4e5f60718293a4b"] # EXAMPLE: private, in two zones
  route_table_ids = ["rtb-0c3d4e5f60718293a"]                                # EXAMPLE: of these subnets
}

# false, and https_egress_cidr_blocks set, where the VPC has endpoints or a NAT gateway of its own.
vpc_endpoints = true

database = {
  host              = "myapp-production.cluster-ro-abcdefghijkl.ap-northeast-1.rds.amazonaws.com" # EXAMPLE
  port              = 3306
  name              = "myapp"                # EXAMPLE
  user              = "mimamori"             # EXAMPLE: a user with SELECT and no more
  security_group_id = "sg-0d4e5f60718293a4b" # EXAMPLE
  ca                = "rds"                  # as is without a word: signed by RDS itself
}

cognito = {
  user_pool_id = "ap-northeast-1_ExAmPlE2"     # EXAMPLE
  client_id    = "1example2234567890abcdefghi" # EXAMPLE
}

cloudwatch_to_mackerel = {
  schedules = {
    every-5-minutes = {
      expression  = "rate(5 minutes)"
      description = "Every five minutes"
      input       = <<-JSON
        {"environment": "production", "mackerel_service": "myApp-production", "path_to_parameter": "/myApp"}
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

    # Another report is another rule: UTC is nine hours behind Tokyo, so Monday 09:00 is Monday 00:00.
    every-monday = {
      expression  = "cron(0 0 ? * MON *)" # UTC
      description = "09:00 in Tokyo, Monday"
      input       = <<-JSON
        {
          "channel": "C0123456789",
          "graphs": [
            {
              "title": "Users, the week (Today: {latest})",
              "range": "week",
              "target": 100,
              "metrics": [
                {"namespace": "RDS/RECORDS", "metric": "USERS", "dimensions": {"Environment": "production", "RDS": "RECORDS"}, "stat": "Maximum"}
              ]
            }
          ]
        }
      JSON
    }

    first-of-the-month = {
      expression  = "cron(30 23 L * ? *)" # UTC
      description = "08:30 in Tokyo, the first day of the month"
      input       = <<-JSON
        {
          "channel": "C0123456789",
          "graphs": [
            {
              "title": "Users, the month (Today: {latest})",
              "range": "month",
              "target": 100,
              "metrics": [
                {"namespace": "RDS/RECORDS", "metric": "USERS", "dimensions": {"Environment": "production", "RDS": "RECORDS"}, "stat": "Maximum"}
              ]
            }
          ]
        }
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
  env_type = "production"

  # An alert that is repeated joins the call that rings: room for a storm, an end for a loop.
  callers = {
    zabbix = { rate_limit = 10, burst_limit = 50, quota_per_day = 5000 }
    efk    = { rate_limit = 5, burst_limit = 20, quota_per_day = 2000 }
  }
  alarm_topics = {
    database = { group_id = "database" }
  }
}

# Nothing sleeps here: without a schedule the role may stop and start nothing.
env_scheduler = {
  schedules = {}
}

data_export = {
  mail_from     = "exports@example.com" # EXAMPLE
  mail_identity = false                 # EXAMPLE: the domain is verified in SES

  # EXAMPLE: the replica that reports may press; without it exports read database.host.
  replica_host = "myapp-production-reports.abcdefghijkl.ap-northeast-1.rds.amazonaws.com"
}

kpi_to_bigquery = {
  project = "example-kpis-production" # EXAMPLE
  dataset = "kpis"
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
    "audience": "//iam.googleapis.com/projects/210987654321/locations/global/workloadIdentityPools/mimamori-aws/providers/mimamori",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/mimamori@example-kpis-production.iam.gserviceaccount.com:generateAccessToken",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {
      "environment_id": "aws1",
      "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
      "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
      "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    }
  }
JSON

# EXAMPLE: who is told by CloudWatch's alarms on the suite.
alarm_actions = ["arn:aws:sns:ap-northeast-1:123456789012:operations"]
