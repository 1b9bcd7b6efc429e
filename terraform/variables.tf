variable "project" {
  type        = string
  description = "What every name begins with."
  default     = "mimamori"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.project))
    error_message = "project: 2 to 12 characters a-z 0-9, a letter first (names of functions and buckets have little room)."
  }
}

variable "environment" {
  type        = string
  description = "The environment: second part of every name, first part of every parameter's path."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment: 2 to 12 characters a-z 0-9, a letter first, such as staging."
  }
}

variable "path_to_parameter" {
  type        = string
  description = "Parameters live at /<environment><path_to_parameter>/<NAME>. Payloads name the same two fields."
  default     = "/myApp"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+){1,10}$", var.path_to_parameter))
    error_message = "path_to_parameter: a path such as /myApp, without a slash at its end."
  }
}

variable "log_retention_days" {
  type        = number
  description = "How long the functions' logs are kept, in days: one of the lengths CloudWatch Logs takes."
  default     = 30
  nullable    = false
}

variable "network" {
  type = object({
    vpc_id          = string
    subnet_ids      = set(string)
    route_table_ids = optional(set(string), [])
  })
  description = <<-EOT
    Where the functions that read the database run.
    - `vpc_id`: the VPC of the database.
    - `subnet_ids`: private subnets in it, two or more in different zones.
    - `route_table_ids`: the subnets' route tables, which learn the way to DynamoDB and S3; needed
      with `vpc_endpoints` only.
  EOT
  nullable    = false

  validation {
    condition     = startswith(var.network.vpc_id, "vpc-")
    error_message = "network.vpc_id: the id of a VPC, vpc-…"
  }
  validation {
    condition     = length(var.network.subnet_ids) > 0 && alltrue([for id in var.network.subnet_ids : startswith(id, "subnet-")])
    error_message = "network.subnet_ids: at least one id of a subnet, subnet-…"
  }
  validation {
    condition     = alltrue([for id in var.network.route_table_ids : startswith(id, "rtb-")])
    error_message = "network.route_table_ids: ids of route tables, rtb-…"
  }
  validation {
    condition     = !var.vpc_endpoints || length(var.network.route_table_ids) > 0
    error_message = "network.route_table_ids: vpc_endpoints needs the subnets' route tables, for DynamoDB and S3."
  }
}

variable "vpc_endpoints" {
  type        = bool
  description = <<-EOT
    Whether to make endpoints for what the functions in the VPC call: interface endpoints of
    CloudWatch, SQS and SSM, and gateway endpoints of DynamoDB and S3. False where the VPC has such
    endpoints or a NAT gateway already: two interface endpoints of one service cannot both have the
    private DNS name, nor two gateway endpoints of one the same route table. Then
    `https_egress_cidr_blocks`, and `https_egress_prefix_list_ids` for gateway endpoints, say where
    they are.
  EOT
  nullable    = false
}

variable "https_egress_cidr_blocks" {
  type        = set(string)
  description = <<-EOT
    Where the functions in the VPC may go on port 443 besides the endpoints made here: the subnets
    of endpoints that the environment brings, or 0.0.0.0/0 with a NAT gateway.
  EOT
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for block in var.https_egress_cidr_blocks : can(cidrnetmask(block))])
    error_message = "https_egress_cidr_blocks: IPv4 blocks such as 10.0.0.0/16."
  }
  validation {
    condition     = var.vpc_endpoints || length(var.https_egress_cidr_blocks) > 0
    error_message = "https_egress_cidr_blocks: without vpc_endpoints it must say where CloudWatch, SQS and SSM are to be reached."
  }
}

variable "https_egress_prefix_list_ids" {
  type        = set(string)
  description = <<-EOT
    AWS's lists of addresses that the functions in the VPC may go to on port 443: DynamoDB's and
    S3's, where the environment brings gateway endpoints.
  EOT
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.https_egress_prefix_list_ids : startswith(id, "pl-")])
    error_message = "https_egress_prefix_list_ids: ids of prefix lists, pl-…"
  }
}

variable "database" {
  type = object({
    host              = string
    port              = optional(number, 3306)
    name              = string
    user              = string
    ca                = optional(string, "rds")
    security_group_id = string
  })
  description = <<-EOT
    The MySQL database that the functions read. Its password is filled by `make secret`.
    - `host`, `port`, `name`, `user`: as a client is given them; the user needs no more than SELECT.
    - `ca`: who signs the server's certificate. `rds` (the default): Amazon RDS itself, by its roots
      of the region in `host`, which the functions carry. Another authority: its PEM text. `off`:
      nothing is verified, and a server without TLS is taken, which lets in no user of
      caching_sha2_password.
    - `security_group_id`: the database's security group; the functions are let in on `port`.
  EOT
  nullable    = false

  validation {
    condition     = var.database.port == floor(var.database.port) && var.database.port >= 1 && var.database.port <= 65535
    error_message = "database.port: a whole number from 1 to 65535."
  }
  validation {
    condition     = contains(["rds", "off"], var.database.ca) || can(regex("^-----BEGIN CERTIFICATE-----\\s[\\s\\S]+\\s-----END CERTIFICATE-----\\s*$", var.database.ca))
    error_message = "database.ca: the word rds, the word off, or one or more certificates in PEM form."
  }
  validation {
    condition     = var.database.ca != "rds" || can(regex("\\.[a-z0-9-]+\\.rds\\.amazonaws\\.com$", var.database.host))
    error_message = "database.ca: rds is for a host of RDS's own name, ….REGION.rds.amazonaws.com. For another: the PEM of its authority, or off."
  }
  validation {
    condition     = length(var.database.ca) <= 8192
    error_message = "database.ca: SSM keeps at most 8192 bytes of PEM. For a database on RDS write rds, and paste nothing."
  }
  validation {
    condition     = startswith(var.database.security_group_id, "sg-")
    error_message = "database.security_group_id: the id of a security group, sg-…"
  }
}

variable "cognito" {
  type = object({
    user_pool_id = string
    client_id    = string

    identity_providers = optional(list(string), [])
  })
  description = <<-EOT
    The user pool whose sign-ins are watched.
    - `user_pool_id`: such as ap-northeast-1_AbCdEfGhI.
    - `client_id`: of the app client that people sign in through.
    - `identity_providers`: names of the pool's identity providers (Google, a SAML one, …):
      CloudWatch counts federated sign-ins of each by itself. None: nothing is posted of them.
  EOT
  nullable    = false

  validation {
    condition     = alltrue([for name in var.cognito.identity_providers : can(regex("^[^,\\s]{3,32}$", name)) && name != "none"])
    error_message = "cognito.identity_providers: names as Cognito has them, of 3 to 32 characters without commas and spaces, and not 'none'."
  }
  validation {
    condition     = length(distinct(var.cognito.identity_providers)) == length(var.cognito.identity_providers)
    error_message = "cognito.identity_providers: each name once."
  }
}

variable "cloudwatch_to_mackerel" {
  type = object({
    schedules = map(object({
      expression  = string
      description = string
      input       = string
      enabled     = optional(bool, true)
    }))
    parameters = optional(map(string), {})
  })
  description = <<-EOT
    - `schedules`: name to rule. `expression` is rate(…) or cron(…), six fields, in UTC; the
      `description` says it in local time; `input` is the payload, as JSON text.
    - `parameters`: further plain values, made at the parameters' path and readable by the function,
      for payloads that take a dimension by `{"parameter": "NAME"}`.
  EOT
  nullable    = false
}

variable "cloudwatch_to_slack" {
  type = object({
    schedules = map(object({
      expression  = string
      description = string
      input       = string
      enabled     = optional(bool, true)
    }))
    parameters = optional(map(string), {})
  })
  description = "`schedules` and `parameters`: as in cloudwatch_to_mackerel."
  nullable    = false
}

variable "db_to_cloudwatch" {
  type = object({
    schedules = map(object({
      expression  = string
      description = string
      input       = string
      enabled     = optional(bool, true)
    }))
  })
  description = "`schedules`: as in cloudwatch_to_mackerel."
  nullable    = false
}

variable "api_base_url" {
  type        = string
  description = <<-EOT
    Where an API is reached, without a slash at its end; `{api_id}` and `{stage}` in it are replaced.
    Null: the address that API Gateway gives to its stage. Twilio signs this address, so it must be
    the one that is called from outside. Without `{api_id}` it is one API's, the phone escalation's;
    data_export has a `base_url` of its own.
  EOT
  default     = null

  validation {
    condition     = var.api_base_url == null || can(regex("^https?://([^\\s/?#{}]|\\{(api_id|stage)\\})+(/([^\\s/?#{}]|\\{(api_id|stage)\\})+)*$", var.api_base_url))
    error_message = "api_base_url: an address such as https://phone.example.com/v1, without a query and without a slash at its end; it knows {api_id} and {stage}."
  }
}

variable "api_gateway_account_role" {
  type        = bool
  description = <<-EOT
    Whether to give API Gateway a role to write logs by. An account has one for all of its APIs in a
    region: false where something else, or another environment, sets it.
  EOT
  default     = true
  nullable    = false
}

variable "phone_escalation" {
  type = object({
    env_type = string
    timezone = optional(string, "Asia/Tokyo")
    # Of the suite: who hears of what no group's channel is told, and in which language.
    slack_channel = optional(string)
    language      = optional(string, "ja")
    callers = map(object({
      rate_limit    = number
      burst_limit   = number
      quota_per_day = number
    }))
    alarm_topics = optional(map(object({
      group_id = string
    })), {})
  })
  description = <<-EOT
    - `env_type`: production, or verification, where only the numbers of the rehearsal set ring.
    - `timezone`: of the times that are said, and of the days that a rotation is valid for.
    - `slack_channel`: the id of the channel that is told of an alarm which could not be phoned, of
      mistakes that the daily check finds, and of what a group without a channel of its own would be
      told; null: it is counted as metrics and logged.
    - `language`: ja or en, of what that channel is told.
    - `callers`: name to what a monitoring system may do with its key: `rate_limit` requests a second
      in the long run, `burst_limit` at once, `quota_per_day` from midnight to midnight UTC.
    - `alarm_topics`: name to the group that an alarm sent to this SNS topic calls, by its `group_id`.
  EOT
  nullable    = false

  validation {
    condition     = contains(["verification", "production"], var.phone_escalation.env_type)
    error_message = "phone_escalation.env_type: verification or production."
  }
  validation {
    condition     = contains(["ja", "en"], var.phone_escalation.language)
    error_message = "phone_escalation.language: ja or en."
  }
  validation {
    condition     = can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$", var.phone_escalation.timezone))
    error_message = "phone_escalation.timezone: a name such as Asia/Tokyo."
  }
  validation {
    condition     = alltrue([for name in concat(keys(var.phone_escalation.callers), keys(var.phone_escalation.alarm_topics)) : can(regex("^[a-z0-9][a-z0-9-]{0,31}$", name))])
    error_message = "phone_escalation: names of callers and alarm_topics are of 1 to 32 characters a-z 0-9 -."
  }
  validation {
    condition     = alltrue([for _, caller in var.phone_escalation.callers : caller.rate_limit > 0 && caller.rate_limit <= 10000])
    error_message = "phone_escalation.callers: rate_limit is more than 0, and at most the 10000 a second that AWS gives to an account."
  }
  validation {
    condition     = alltrue(flatten([for _, caller in var.phone_escalation.callers : [for number in [caller.burst_limit, caller.quota_per_day] : number >= 1 && number == floor(number)]]))
    error_message = "phone_escalation.callers: burst_limit and quota_per_day are whole numbers from 1."
  }
  validation {
    condition     = alltrue([for _, topic in var.phone_escalation.alarm_topics : can(regex("^[A-Za-z0-9_-]{1,64}$", topic.group_id))])
    error_message = "phone_escalation.alarm_topics: group_id is of 1 to 64 characters A-Z a-z 0-9 _ -."
  }
}

variable "env_scheduler" {
  type = object({
    schedules = map(object({
      days          = optional(list(string), ["MON", "TUE", "WED", "THU", "FRI"])
      start         = optional(string)
      stop          = optional(string, "21:00")
      timezone      = optional(string, "Asia/Tokyo")
      holidays      = optional(bool, true)
      days_off      = optional(list(string), [])
      tag           = string
      grace_minutes = optional(number, 0)
      enabled       = optional(bool, true)
      channel       = optional(string)
      language      = optional(string, "ja")
    }))
    tag_key       = optional(string, "Schedule")
    tag_condition = optional(bool, true)
    kms_key_arns  = optional(set(string), [])
  })
  description = <<-EOT
    What sleeps when. Nothing is touched whose tag `tag_key` is not the `tag` of one of the schedules.
    - `schedules`: name to schedule, looked at every quarter of an hour.
      - `days`: MON to SUN, on which it starts, or stops where it never starts.
      - `start`, `stop`: on a quarter of an hour, such as 21:00. Without `start` it only ever stops. A
        `stop` before the `start` is on the next day.
      - `timezone`: of these times, such as Asia/Tokyo.
      - `holidays`: whether Japan's public holidays are days off: nothing starts on them.
      - `days_off`: further ones: 2026-11-24, 12-29 of every year, and ranges such as 12-29..01-03.
      - `tag`: the value that the resources' tag has; no two schedules share one.
      - `grace_minutes`: how long after the stop goes on what a person woke in the hour before it.
      - `enabled`: false makes the rule, but lets it rest.
      - `channel`, `language`: where to and how (ja, en) a run is told of in Slack; no channel, no word.
    - `tag_condition`: whether the role is held to the tag as well. Only an emulator may do without,
      which judges neither that nor what is being tagged.
    - `kms_key_arns`: keys of one's own that encrypt volumes of the instances: EC2 starts an instance
      only for one who may grant it the key.
  EOT
  nullable    = false

  validation {
    # The function has them in its environment, for which Lambda has 4096 bytes in all.
    condition     = length(jsonencode(var.env_scheduler.schedules)) <= 3500
    error_message = "env_scheduler.schedules: as JSON they may have at most 3500 characters, about ten schedules."
  }
  validation {
    condition     = alltrue([for name, _ in var.env_scheduler.schedules : can(regex("^[a-z0-9][a-z0-9-]{0,39}$", name))])
    error_message = "env_scheduler.schedules: names are of 1 to 40 characters a-z 0-9 -."
  }
  validation {
    condition = alltrue([for _, schedule in var.env_scheduler.schedules : alltrue([
      length(schedule.days) > 0,
      length(setsubtract(schedule.days, ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"])) == 0,
    ])])
    error_message = "env_scheduler.schedules: days are one or more of MON TUE WED THU FRI SAT SUN."
  }
  validation {
    condition = alltrue(flatten([for _, schedule in var.env_scheduler.schedules : [
      for time in compact([schedule.start, schedule.stop]) : can(regex("^([01][0-9]|2[0-3]):(00|15|30|45)$", time))
    ]]))
    error_message = "env_scheduler.schedules: start and stop are on a quarter of an hour, from 00:00 to 23:45."
  }
  validation {
    condition     = alltrue([for _, schedule in var.env_scheduler.schedules : schedule.stop != null && schedule.start != schedule.stop])
    error_message = "env_scheduler.schedules: each has a stop, at another time than its start."
  }
  validation {
    condition     = alltrue([for _, schedule in var.env_scheduler.schedules : can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$", schedule.timezone))])
    error_message = "env_scheduler.schedules: timezone is a name such as Asia/Tokyo."
  }
  validation {
    condition = alltrue(flatten([for _, schedule in var.env_scheduler.schedules : [for day in schedule.days_off : anytrue([
      # A year with a 29th of February stands for every year.
      can(regex("^[0-9-]+(\\.\\.[0-9-]+)?$", day)) && alltrue([for end in split("..", day) : can(formatdate("DD", "2000-${end}T00:00:00Z"))]),
      can(regex("^[0-9-]+(\\.\\.[0-9-]+)?$", day)) && alltrue([for end in split("..", day) : can(formatdate("DD", "${end}T00:00:00Z"))]) && sort(split("..", day)) == split("..", day),
    ])]]))
    error_message = "env_scheduler.schedules: days_off are dates such as 2026-11-24, days of every year such as 12-29, or ranges of either, 12-29..01-03."
  }
  validation {
    # What all five services take: RDS knows neither commas nor *.
    condition     = alltrue([for _, schedule in var.env_scheduler.schedules : can(regex("^[A-Za-z0-9_.:/=+@-]+( [A-Za-z0-9_.:/=+@-]+)*$", schedule.tag)) && length(schedule.tag) <= 256])
    error_message = "env_scheduler.schedules: tag is of 1 to 256 characters A-Z a-z 0-9 _ . : / = + @ - and blanks between."
  }
  validation {
    condition     = length(distinct([for _, schedule in var.env_scheduler.schedules : schedule.tag])) == length(var.env_scheduler.schedules)
    error_message = "env_scheduler.schedules: two of them with one tag would wake what the other put to sleep."
  }
  validation {
    condition     = alltrue([for _, schedule in var.env_scheduler.schedules : contains(range(0, 721), schedule.grace_minutes)])
    error_message = "env_scheduler.schedules: grace_minutes is a whole number from 0 to 720."
  }
  validation {
    condition     = alltrue([for _, schedule in var.env_scheduler.schedules : contains(["ja", "en"], schedule.language) && schedule.channel != ""])
    error_message = "env_scheduler.schedules: language is ja or en; channel is left out where nobody is told."
  }
  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/=+@-]{1,128}$", var.env_scheduler.tag_key)) && !can(regex("(?i)^(aws|mimamori):", var.env_scheduler.tag_key))
    error_message = "env_scheduler.tag_key: 1 to 128 characters A-Z a-z 0-9 _ . : / = + @ -; aws: is AWS's, and mimamori: is what the scheduler remembers by."
  }
  validation {
    condition     = alltrue([for arn in var.env_scheduler.kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "env_scheduler.kms_key_arns: ARNs of keys (not of their aliases), arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "alarm_actions" {
  type        = set(string)
  description = <<-EOT
    ARNs that CloudWatch tells when an alarm of the suite goes off, such as a topic's of
    phone_escalation or of a chat. Empty: no alarms are made.
  EOT
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:\\S+$", arn))])
    error_message = "alarm_actions: ARNs, such as arn:aws:sns:REGION:ACCOUNT:TOPIC."
  }
}

variable "data_export" {
  type = object({
    mail_from            = string
    mail_identity        = optional(bool, true)
    link_days            = optional(number, 7)
    base_url             = optional(string)
    replica_host         = optional(string)
    timezone             = optional(string, "Asia/Tokyo")
    reserved_concurrency = optional(number, 3)
    lease_seconds        = optional(number, 90)
    tls_only             = optional(bool, true)
    force_destroy        = optional(bool, false)
  })
  description = <<-EOT
    - `mail_from`: the address that mails come from.
    - `mail_identity`: whether to have SES verify that address; false where its domain is verified, or
      where another environment of the account has it verified.
    - `link_days`: how long a link works; the file is deleted the day after.
    - `base_url`: as api_base_url, for the links alone. Null: api_base_url where that has `{api_id}`,
      else the address that API Gateway gives to its stage.
    - `replica_host`: a replica of the database, read instead of it: on the same port, for the same
      user, of the same security group.
    - `timezone`: of the times that a mail says, and of the day in a file's name.
    - `reserved_concurrency`: how many exports at once are kept for the function, 2 or more; -1 for
      none, where the account's quota has none to give (a new account's 10).
    - `lease_seconds`: how soon a job whose run was killed is taken up again.
    - `tls_only`: whether the bucket refuses plain http. Only an emulator may do without, which has no
      other.
    - `force_destroy`: whether a bucket with files in it may be destroyed.
  EOT
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]{2,}$", var.data_export.mail_from))
    error_message = "data_export.mail_from: a mail address such as exports@example.com, without a name."
  }
  validation {
    condition     = contains(range(1, 31), var.data_export.link_days)
    error_message = "data_export.link_days: a whole number from 1 to 30."
  }
  validation {
    condition     = var.data_export.base_url == null || can(regex("^https?://([^\\s/?#{}]|\\{(api_id|stage)\\})+(/([^\\s/?#{}]|\\{(api_id|stage)\\})+)*$", var.data_export.base_url))
    error_message = "data_export.base_url: an address such as https://exports.example.com, without a query and without a slash at its end; it knows {api_id} and {stage}."
  }
  validation {
    condition     = var.data_export.replica_host == null || can(regex("^[A-Za-z0-9.:-]+$", var.data_export.replica_host))
    error_message = "data_export.replica_host: a host's name or address; left out where there is none."
  }
  validation {
    condition     = can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$", var.data_export.timezone))
    error_message = "data_export.timezone: a name such as Asia/Tokyo."
  }
  validation {
    # Fewer than the two that the queue brings would turn messages away until they are given up.
    condition     = var.data_export.reserved_concurrency == -1 || contains(range(2, 1001), var.data_export.reserved_concurrency)
    error_message = "data_export.reserved_concurrency: a whole number from 2 to 1000, or -1 for none."
  }
  validation {
    condition     = contains(range(3, 601), var.data_export.lease_seconds)
    error_message = "data_export.lease_seconds: a whole number from 3 to 600."
  }
}

variable "kpi_to_bigquery" {
  type = object({
    schedules = map(object({
      expression  = string
      description = string
      input       = string
      enabled     = optional(bool, true)
    }))
    project       = string
    dataset       = string
    location      = optional(string, "asia-northeast1")
    archive_days  = optional(number)
    retry_seconds = optional(number, 60)
    tls_only      = optional(bool, true)
    force_destroy = optional(bool, false)
  })
  description = <<-EOT
    - `schedules`: as in cloudwatch_to_mackerel. The payload names the `group` of KPIs that it runs.
    - `project`: the project of Google Cloud that pays for BigQuery and has the dataset, by its id.
    - `dataset`: what the tables are in; it is made where it is missing.
    - `location`: where the dataset is, such as asia-northeast1, US or EU; it cannot move later.
    - `archive_days`: how long the files are kept on S3. Null: for good.
    - `retry_seconds`: how long after a load that failed it is tried again, twice as long after the
      second time; after the third it is among the dead letters.
    - `tls_only`: whether the bucket refuses plain http. Only an emulator may do without, which has no
      other.
    - `force_destroy`: whether a bucket with files in it may be destroyed.
  EOT
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.kpi_to_bigquery.project))
    error_message = "kpi_to_bigquery.project: a project's id (not its name or number): 6 to 30 characters a-z 0-9 -, a letter first, no - at its end."
  }
  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.kpi_to_bigquery.dataset)) && length(var.kpi_to_bigquery.dataset) <= 1024
    error_message = "kpi_to_bigquery.dataset: 1 to 1024 characters A-Z a-z 0-9 _, without the project."
  }
  validation {
    condition     = can(regex("^(US|EU|[a-z]+-[a-z]+[0-9]+)$", var.kpi_to_bigquery.location))
    error_message = "kpi_to_bigquery.location: a region such as asia-northeast1, or US or EU."
  }
  validation {
    condition     = var.kpi_to_bigquery.archive_days == null || try(var.kpi_to_bigquery.archive_days >= 1 && var.kpi_to_bigquery.archive_days == floor(var.kpi_to_bigquery.archive_days), false)
    error_message = "kpi_to_bigquery.archive_days: a whole number from 1; left out where files are kept for good."
  }
  validation {
    condition     = contains(range(1, 901), var.kpi_to_bigquery.retry_seconds)
    error_message = "kpi_to_bigquery.retry_seconds: a whole number from 1 to 900."
  }
}

variable "google_credentials" {
  type        = string
  description = <<-EOT
    Whom s3_to_bigquery is at Google: what `gcloud iam workload-identity-pools create-cred-config`
    with `--aws` and `--service-account` writes, as JSON text. It has no secret in it. Null: nothing
    can be loaded yet.
  EOT
  default     = null

  validation {
    condition     = var.google_credentials == null || try(jsondecode(var.google_credentials).type == "external_account", false)
    error_message = "google_credentials: a JSON object whose type is external_account, not a service account's key."
  }
  validation {
    condition     = var.google_credentials == null || can(regex("^//iam\\.googleapis\\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$", jsondecode(var.google_credentials).audience)) && !can(regex("/gcp-", jsondecode(var.google_credentials).audience))
    error_message = "google_credentials.audience: //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, POOL and PROVIDER of 4 to 32 characters a-z, 0-9 and -, not starting with gcp-."
  }
  validation {
    condition     = var.google_credentials == null || can(regex("^https?://[^/\\s]+/\\S+$", jsondecode(var.google_credentials).token_url))
    error_message = "google_credentials.token_url: an address, https://sts.googleapis.com/v1/token."
  }
  validation {
    condition     = var.google_credentials == null || can(regex("^https?://[^/\\s]+/\\S*/serviceAccounts/[^/:\\s]+:generateAccessToken$", jsondecode(var.google_credentials).service_account_impersonation_url))
    error_message = "google_credentials.service_account_impersonation_url: an address that ends with /serviceAccounts/EMAIL:generateAccessToken; say --service-account when it is made."
  }
  validation {
    condition     = var.google_credentials == null || can(regex("^https://[^/?\\s]+/?\\?\\S+$", jsondecode(var.google_credentials).credential_source.regional_cred_verification_url))
    error_message = "google_credentials.credential_source.regional_cred_verification_url: https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15; say --aws when it is made."
  }
  validation {
    # The parameter is no SecureString, and the state shows it.
    condition     = var.google_credentials == null || !can(regex("(?i)private_?key|client_?secret|refresh_?token|access_?key|BEGIN [A-Z ]*PRIVATE", var.google_credentials))
    error_message = "google_credentials: holds a key or another secret. It takes the configuration of a workload identity, which has none."
  }
}
