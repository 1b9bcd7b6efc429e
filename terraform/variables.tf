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
    - `route_table_ids`: the subnets' route tables, which learn the way to DynamoDB; needed with
      `vpc_endpoints` only.
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
    error_message = "network.route_table_ids: vpc_endpoints needs the subnets' route tables, for DynamoDB."
  }
}

variable "vpc_endpoints" {
  type        = bool
  description = <<-EOT
    Whether to make endpoints for what the functions in the VPC call: interface endpoints of
    CloudWatch and SSM, and a gateway endpoint of DynamoDB. False where the VPC has such endpoints
    or a NAT gateway already: two interface endpoints of one service cannot both have the private
    DNS name, nor two gateway endpoints the same route table. Then `https_egress_cidr_blocks`, and
    `https_egress_prefix_list_ids` for a gateway endpoint, say where they are.
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
    error_message = "https_egress_cidr_blocks: without vpc_endpoints it must say where CloudWatch and SSM are to be reached."
  }
}

variable "https_egress_prefix_list_ids" {
  type        = set(string)
  description = <<-EOT
    AWS's lists of addresses that the functions in the VPC may go to on port 443: DynamoDB's, where
    the environment brings a gateway endpoint.
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
    ca                = string
    security_group_id = string
  })
  description = <<-EOT
    The MySQL database that the functions read. Its password is filled by `make secret`.
    - `host`, `port`, `name`, `user`: as a client is given them; the user needs no more than SELECT.
    - `ca`: PEM text of the authorities that sign the server's certificate (on RDS the region's
      bundle), or the word `off` for a connection without TLS.
    - `security_group_id`: the database's security group; the functions are let in on `port`.
  EOT
  nullable    = false

  validation {
    condition     = var.database.port == floor(var.database.port) && var.database.port >= 1 && var.database.port <= 65535
    error_message = "database.port: a whole number from 1 to 65535."
  }
  validation {
    condition     = var.database.ca == "off" || can(regex("^-----BEGIN CERTIFICATE-----\\s[\\s\\S]+\\s-----END CERTIFICATE-----\\s*$", var.database.ca))
    error_message = "database.ca: one or more certificates in PEM form, or the word off."
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
  })
  description = <<-EOT
    The user pool whose sign-ins are watched.
    - `user_pool_id`: such as ap-northeast-1_AbCdEfGhI.
    - `client_id`: of the app client that people sign in through.
  EOT
  nullable    = false
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
    the one that is called from outside.
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
