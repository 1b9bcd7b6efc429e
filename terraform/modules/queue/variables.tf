variable "name" {
  type        = string
  description = "The queue's name without the prefix, such as exports. That of the dead letters has -dead at its end."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.name))
    error_message = "name: characters a-z 0-9 -, a letter first."
  }
  validation {
    condition     = length("${var.context.prefix}${var.name}-dead") <= 80
    error_message = "name: SQS takes at most 80 characters, with the prefix and -dead."
  }
}

variable "context" {
  type = object({
    prefix     = string
    partition  = string
    region     = string
    account_id = string
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

variable "timeout" {
  type        = number
  description = "Seconds that a run of the function behind the queue may take."
  nullable    = false

  validation {
    condition     = contains(range(1, 901), var.timeout)
    error_message = "timeout: a whole number from 1 to 900."
  }
}

variable "dead_timeout" {
  type        = number
  description = "Seconds that a run of what takes the dead letters may take; null where a person does."
  default     = null

  validation {
    condition     = var.dead_timeout == null || contains(range(1, 901), coalesce(var.dead_timeout, 1))
    error_message = "dead_timeout: a whole number from 1 to 900."
  }
}

variable "receives" {
  type        = number
  description = "How often a message is tried before it is a dead letter."
  nullable    = false

  validation {
    condition     = contains(range(1, 1001), var.receives)
    error_message = "receives: a whole number from 1 to 1000."
  }
}

variable "policy" {
  type        = string
  description = "Who else may use the queue, as the JSON of a policy; null where its account's roles alone do. A resource of its own would be waited for as long as the queue."
  default     = null

  validation {
    condition     = var.policy == null || can(jsondecode(var.policy).Statement)
    error_message = "policy: a policy's JSON, with its Statement."
  }
}
