variable "name" {
  type        = string
  description = "The bucket's name without the prefix and the account's number, such as exports."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.name))
    error_message = "name: characters a-z 0-9 -, a letter first."
  }
  validation {
    condition     = length("${var.context.prefix}${var.name}-${var.context.account_id}") <= 63
    error_message = "name: S3 takes at most 63 characters, with the prefix and the account's number."
  }
}

variable "context" {
  type = object({
    prefix     = string
    partition  = string
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

variable "expiration" {
  type = object({
    prefix = string
    days   = number
  })
  description = "Files whose keys begin with `prefix` end after so many `days`. Null: they are kept."
  default     = null

  validation {
    condition     = var.expiration == null || try(var.expiration.days >= 1 && var.expiration.days == floor(var.expiration.days), false)
    error_message = "expiration: days is a whole number from 1."
  }
}

variable "version_days" {
  type        = number
  description = <<-EOT
    How many days a file is kept on that another has replaced, or that was deleted. Null: the bucket
    has no versions.
  EOT
  default     = null

  validation {
    condition     = var.version_days == null || try(var.version_days >= 1 && var.version_days == floor(var.version_days), false)
    error_message = "version_days: a whole number from 1."
  }
}

variable "tls_only" {
  type        = bool
  description = "Whether plain http is refused. Only an emulator may do without, which has no other."
  default     = true
  nullable    = false
}

variable "force_destroy" {
  type        = bool
  description = "Whether the bucket may be destroyed with files in it."
  default     = false
  nullable    = false
}
