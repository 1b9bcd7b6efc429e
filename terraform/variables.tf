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
    vpc_id     = string
    subnet_ids = set(string)
  })
  description = <<-EOT
    Where the functions that read the database run.
    - `vpc_id`: the VPC of the database.
    - `subnet_ids`: private subnets in it, two or more in different zones.
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
}

variable "interface_endpoints" {
  type        = bool
  description = <<-EOT
    Whether to make interface endpoints for what the functions in the VPC call (CloudWatch, SSM).
    False where the VPC has such endpoints or a NAT gateway already: two endpoints of one service
    cannot both have the private DNS name. Then `https_egress_cidr_blocks` says where they are.
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
    condition     = var.interface_endpoints || length(var.https_egress_cidr_blocks) > 0
    error_message = "https_egress_cidr_blocks: without interface_endpoints it must say where CloudWatch and SSM are to be reached."
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
