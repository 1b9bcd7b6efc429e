variable "path" {
  type        = string
  description = "Where the parameters live, such as /staging/myApp."
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+){1,14}$", var.path)) && !can(regex("(?i)^/(aws|ssm)", var.path))
    error_message = "path: a path such as /staging/myApp, without a slash at its end; it may not begin with aws or ssm."
  }
}

variable "parameters" {
  type = map(object({
    secret = optional(bool, false)
    value  = optional(string)
  }))
  description = <<-EOT
    Name to parameter.
    - `value`: of a plain parameter.
    - `secret`: a SecureString without a value here, filled by `make secret`.
  EOT
  nullable    = false

  validation {
    condition     = alltrue([for name, _ in var.parameters : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "parameters: names are of the characters A-Z 0-9 _, a letter first."
  }
  validation {
    condition     = alltrue([for name, _ in var.parameters : length("${var.path}/${name}") <= 1011])
    error_message = "parameters: SSM takes at most 1011 characters of path and name."
  }
  validation {
    condition     = alltrue([for _, parameter in var.parameters : parameter.secret == (parameter.value == null)])
    error_message = "parameters: a plain one has a value; a secret has none, it is filled by make secret."
  }
  validation {
    condition     = alltrue([for _, parameter in var.parameters : parameter.value != ""])
    error_message = "parameters: SSM takes no empty value."
  }
  validation {
    # Base64 without its padding has 4 characters for 3 bytes: 10923 of them are 8192 bytes.
    condition     = alltrue([for _, parameter in var.parameters : length(trim(base64encode(coalesce(parameter.value, "-")), "=")) <= 10923])
    error_message = "parameters: SSM takes at most 8192 bytes of a value."
  }
}
