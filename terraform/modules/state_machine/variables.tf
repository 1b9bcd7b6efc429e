variable "name" {
  type        = string
  description = "The machine's name without the prefix: the capability's, such as env_scheduler."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*$", var.name))
    error_message = "name: characters a-z 0-9 _, a letter first."
  }
  validation {
    condition     = length("${var.context.prefix}${var.name}-states") <= 64
    error_message = "name: IAM takes at most 64 characters for the role, with the prefix and -states."
  }
}

variable "context" {
  type = object({
    prefix             = string
    partition          = string
    region             = string
    account_id         = string
    log_retention_days = number
  })
  description = "As in modules/lambda_function."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*-$", var.context.prefix))
    error_message = "context.prefix: characters a-z 0-9 -, ending in -."
  }
  validation {
    condition     = can(regex("^[0-9]{12}$", var.context.account_id))
    error_message = "context.account_id: 12 digits."
  }
}

variable "definition" {
  type        = string
  description = "The definition in the Amazon States Language, as JSON text, with every ARN put in."
  nullable    = false

  validation {
    condition     = try(contains(keys(jsondecode(var.definition).States), jsondecode(var.definition).StartAt), false)
    error_message = "definition: a JSON object with States, and with one of them as StartAt."
  }
  validation {
    condition     = !strcontains(var.definition, "$${")
    error_message = "definition: holds a $${…} that nothing was put in for."
  }
  validation {
    condition     = alltrue([for arn in var.alias_arns : strcontains(var.definition, "\"${arn}\"")])
    error_message = "definition: names each of alias_arns, or the role would need it no more."
  }
}

variable "alias_arns" {
  type        = set(string)
  description = "ARNs of the functions' aliases that the machine calls: all that its role may do."
  nullable    = false

  validation {
    condition     = length(var.alias_arns) > 0 && alltrue([for arn in var.alias_arns : can(regex("^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+:[A-Za-z][A-Za-z0-9_-]*$", arn))])
    error_message = "alias_arns: at least one, each with the alias at its end, …:function:NAME:current, so that a rollback moves the machine too."
  }
}
