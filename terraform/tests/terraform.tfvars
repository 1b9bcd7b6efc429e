# The variables of every file of tests here.
environment   = "staging"
vpc_endpoints = true
network       = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"], route_table_ids = ["rtb-1"] }
database = {
  host              = "db.example.com"
  name              = "myapp"
  user              = "mimamori"
  ca                = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
  security_group_id = "sg-1"
}
cognito                = { user_pool_id = "ap-northeast-1_A", client_id = "1" }
cloudwatch_to_mackerel = { schedules = {}, parameters = { QUEUE = "jobs" } }
cloudwatch_to_slack    = { schedules = {} }
db_to_cloudwatch       = { schedules = {} }
env_scheduler          = { schedules = { night = { tag = "night" } } }
phone_escalation = {
  env_type     = "verification"
  callers      = { zabbix = { rate_limit = 0.5, burst_limit = 1, quota_per_day = 1 } }
  alarm_topics = { database = { group_id = "dba_1" } }
}
data_export     = { mail_from = "exports@example.com" }
kpi_to_bigquery = { schedules = {}, project = "example-kpis", dataset = "kpis" }
