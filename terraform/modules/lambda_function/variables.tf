variable "name" {
  type        = string
  description = "The function's name without the prefix: the capability's folder, such as db_to_cloudwatch."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*$", var.name))
    error_message = "name: characters a-z 0-9 _, a letter first."
  }
  validation {
    condition     = length("${var.context.prefix}${var.name}") <= 64
    error_message = "name: Lambda and IAM take at most 64 characters, prefix and all."
  }
}

variable "context" {
  type = object({
    prefix             = string
    parameter_path     = string
    partition          = string
    region             = string
    account_id         = string
    log_retention_days = number
    placeholder        = object({ bucket = string, key = string })
  })
  description = <<-EOT
    What is the same for every function.
    - `prefix`: what names begin with, such as mimamori-staging-.
    - `parameter_path`: where the parameters live, such as /staging/myApp.
    - `partition`, `region`, `account_id`: for ARNs that are known before their resources are.
    - `log_retention_days`: how long logs are kept.
    - `placeholder`: the zip in S3 that a function runs until it is deployed.
  EOT
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*-$", var.context.prefix))
    error_message = "context.prefix: characters a-z 0-9 -, ending in -."
  }
  validation {
    condition     = can(regex("^[0-9]{12}$", var.context.account_id))
    error_message = "context.account_id: 12 digits."
  }
  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.context.log_retention_days,
    )
    error_message = "context.log_retention_days: one of the lengths that CloudWatch Logs takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "parameters" {
  type = map(object({
    secret = optional(bool, false)
    value  = optional(string)
  }))
  description = "The function's own parameters, made here and readable by it alone: see modules/parameters."
  default     = {}
  nullable    = false
}

variable "shared_parameters" {
  type        = set(string)
  description = "Names of parameters made elsewhere, below the same path, that the function may read too."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.shared_parameters : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "shared_parameters: names are of the characters A-Z 0-9 _, a letter first, without a path."
  }
  validation {
    condition     = length(setintersection(var.shared_parameters, keys(var.parameters))) == 0
    error_message = "shared_parameters: a name also stands in parameters, and only one of the two can make it."
  }
}

variable "environment" {
  type        = map(string)
  description = "Environment variables besides PARAMETER_PATH. No secrets: those are parameters."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, _ in var.environment : can(regex("^[A-Z][A-Z0-9_]+$", name)) && !startswith(name, "AWS_") && name != "PARAMETER_PATH"])
    error_message = "environment: names are of the characters A-Z 0-9 _; AWS_… belongs to Lambda, PARAMETER_PATH to this module."
  }
}

variable "statements" {
  type = list(object({
    actions   = set(string)
    resources = set(string)
    conditions = optional(list(object({
      test     = string
      variable = string
      values   = set(string)
    })), [])
  }))
  description = <<-EOT
    What the function may do besides writing its log and reading its parameters.
    - `actions`: named, without a wildcard.
    - `resources`: ARNs; `*` only where the API takes no resource, with a comment that says so.
    - `conditions`: test, variable and values as in a policy.
  EOT
  default     = []
  nullable    = false

  validation {
    condition     = alltrue(flatten([for statement in var.statements : [for action in statement.actions : can(regex("^[a-z0-9-]+:[A-Za-z0-9]+$", action))]]))
    error_message = "statements: actions are named one by one, service:Action, without a wildcard."
  }
  validation {
    condition     = alltrue([for statement in var.statements : length(statement.actions) > 0 && length(statement.resources) > 0])
    error_message = "statements: each has at least one action and one resource."
  }
  validation {
    condition     = alltrue(flatten([for statement in var.statements : [for condition in statement.conditions : length(condition.values) > 0]]))
    error_message = "statements: a condition without values would let nothing through."
  }
}

variable "failure_queue_arn" {
  type        = string
  description = "The queue that gets what an asynchronous call could not do after all its tries; null: nobody hears of it."
  default     = null
}

variable "vpc" {
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
  })
  description = "The VPC's subnets and the function's security groups; null for a function outside any VPC."
  default     = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids) > 0 && length(var.vpc.security_group_ids) > 0, false)
    error_message = "vpc: at least one subnet and one security group."
  }
}

variable "schedules" {
  type = map(object({
    expression  = string
    description = string
    input       = string
    enabled     = optional(bool, true)
  }))
  description = <<-EOT
    Name to rule.
    - `expression`: rate(…) or cron(…) with six fields, in UTC.
    - `description`: when that is in local time.
    - `input`: the payload, as JSON text.
    - `enabled`: false makes the rule, but lets it rest.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, _ in var.schedules : can(regex("^[a-z0-9_-]+$", name)) && length("${var.context.prefix}${var.name}-${name}") <= 64])
    error_message = "schedules: names are of the characters a-z 0-9 _ -, and a rule's whole name (${var.context.prefix}${var.name}-<schedule>) has at most 64."
  }
  validation {
    condition = alltrue([for _, schedule in var.schedules : anytrue([
      can(regex("^rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)$", schedule.expression)),
      can(regex("^cron\\([0-9*,/-]+ [0-9*,/-]+ (\\? [0-9A-Z*,/-]+ [0-9A-Z*,/#-]+|[0-9*,/LW-]+ [0-9A-Z*,/-]+ \\?) [0-9*,/-]+\\)$", schedule.expression)),
    ])])
    error_message = "schedules: expression is rate(1 minute), rate(5 minutes)… or cron(minutes hours day-of-month month day-of-week year), where one of the two days is ?."
  }
  validation {
    condition     = alltrue([for _, schedule in var.schedules : can(keys(jsondecode(schedule.input)))])
    error_message = "schedules: input is the payload, a JSON object."
  }
  validation {
    # Base64 without its padding has 4 characters for 3 bytes: 10923 of them are 8192 bytes.
    condition     = alltrue([for _, schedule in var.schedules : length(trim(base64encode(schedule.input), "=")) <= 10923])
    error_message = "schedules: EventBridge takes at most 8192 bytes of input."
  }
  validation {
    condition     = alltrue([for _, schedule in var.schedules : length(schedule.description) > 0 && length(schedule.description) <= 512])
    error_message = "schedules: a description is needed, of at most 512 characters."
  }
}

variable "timeout" {
  type        = number
  description = <<-EOT
    Seconds that a run may take, where something made here derives from them, such as a queue's
    visibility. Null: lambroll decides.
  EOT
  default     = null

  validation {
    condition     = var.timeout == null || contains(range(1, 901), coalesce(var.timeout, 1))
    error_message = "timeout: a whole number from 1 to 900."
  }
}

variable "reserved_concurrent_executions" {
  type        = number
  description = <<-EOT
    How many runs at once are kept for the function, and are the most that it gets. -1: as many as the
    account has left.
  EOT
  default     = -1
  nullable    = false

  validation {
    # 0 would stop the function without a word.
    condition     = var.reserved_concurrent_executions == -1 || (var.reserved_concurrent_executions >= 1 && var.reserved_concurrent_executions == floor(var.reserved_concurrent_executions))
    error_message = "reserved_concurrent_executions: a whole number from 1, or -1 for none."
  }
}

variable "maximum_retry_attempts" {
  type        = number
  description = <<-EOT
    How often Lambda repeats a failed asynchronous invocation (a schedule's, SNS's). 0: the next run
    is soon and heals what this one left, while a repeat would only press a service that is down
    already.
  EOT
  default     = 0
  nullable    = false

  validation {
    condition     = contains([0, 1, 2], var.maximum_retry_attempts)
    error_message = "maximum_retry_attempts: 0, 1 or 2."
  }
}
