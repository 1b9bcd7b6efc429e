variable "name" {
  type        = string
  description = "The API's name without the prefix, such as phonecall."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_-]*$", var.name))
    error_message = "name: characters a-z 0-9 _ -, a letter first."
  }
}

variable "description" {
  type        = string
  description = "What the API is for, to those who see it in the console."
  nullable    = false
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

variable "stage" {
  type        = string
  description = "The stage's name: the last part of the API's address."
  default     = "v1"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_]{1,128}$", var.stage))
    error_message = "stage: 1 to 128 characters A-Z a-z 0-9 _."
  }
}

variable "stage_variables" {
  type        = map(string)
  description = "What an event says of the stage it came by."
  default     = {}
  nullable    = false
}

variable "routes" {
  type = map(object({
    function    = string
    method      = string
    path        = string
    querystring = optional(set(string), [])
    key         = optional(bool, false)
    models      = optional(map(string), {})
  }))
  description = <<-EOT
    Name to route.
    - `function`: the short name of the function that answers, through its alias.
    - `method`, `path`: such as GET and exports/{job}/{token}, three parts at the most.
    - `querystring`: what has to be in the query; what stands in the path has to be there anyway.
    - `key`: whether an API key is asked for.
    - `models`: content type to the name of a model, for those who read or export the API.
  EOT
  nullable    = false

  validation {
    condition     = length(var.routes) > 0 && alltrue([for name, _ in var.routes : can(regex("^[a-z0-9][a-z0-9_-]{0,63}$", name))])
    error_message = "routes: at least one; names are of 1 to 64 characters a-z 0-9 _ -."
  }
  validation {
    condition     = alltrue([for _, route in var.routes : contains(["DELETE", "GET", "PATCH", "POST", "PUT"], route.method)])
    error_message = "routes: method is DELETE, GET, PATCH, POST or PUT."
  }
  validation {
    condition     = alltrue([for _, route in var.routes : can(regex("^([A-Za-z0-9._-]+|\\{\\w+\\})(/([A-Za-z0-9._-]+|\\{\\w+\\})){0,2}$", route.path))])
    error_message = "routes: path is of one to three parts, words or {names}, without a slash at either end."
  }
  validation {
    condition     = length(distinct([for _, route in var.routes : "${route.method} ${route.path}"])) == length(var.routes)
    error_message = "routes: two of them have the same method and path."
  }
  validation {
    # API Gateway knows one {name} below a part, whatever it is called.
    condition = length(distinct(flatten([for _, route in var.routes : [
      for end in range(1, length(split("/", route.path)) + 1) : join("/", slice(split("/", route.path), 0, end))
      ]]))) == length(distinct(flatten([for _, route in var.routes : [
      for end in range(1, length(split("/", route.path)) + 1) : replace(join("/", slice(split("/", route.path), 0, end)), "/\\{\\w+\\}/", "{}")
    ]])))
    error_message = "routes: at one place of the paths a {name} is called the same in all of them."
  }
}

variable "throttle" {
  type        = object({ rate_limit = number, burst_limit = number })
  description = <<-EOT
    How much each route takes of all its callers together: `rate_limit` requests a second in the long
    run, `burst_limit` at once. A key may have less by its usage plan.
  EOT
  nullable    = false

  validation {
    condition     = var.throttle.rate_limit > 0 && var.throttle.burst_limit >= 1 && var.throttle.burst_limit == floor(var.throttle.burst_limit)
    error_message = "throttle: a rate_limit of more than 0 and a burst_limit that is a whole number from 1."
  }
}

variable "functions" {
  type        = map(string)
  description = <<-EOT
    The routes' functions: short name to full name, once they are made. They may be told of this
    API's address: only the permission to call them waits for them.
  EOT
  nullable    = false

  validation {
    condition     = toset(keys(var.functions)) == toset([for _, route in var.routes : route.function])
    error_message = "functions: those of the routes, all of them and no others."
  }
}

variable "redeploy_on" {
  type        = list(string)
  description = "What a deployment holds besides the routes, such as the schema of a model."
  default     = []
  nullable    = false
}

variable "base_url" {
  type        = string
  description = <<-EOT
    Where the API is reached, without a slash at its end; `{api_id}` and `{stage}` in it are replaced.
    Null: the address that API Gateway gives to its stage.
  EOT
  default     = null

  validation {
    condition     = var.base_url == null || can(regex("^https?://.*[^/]$", var.base_url))
    error_message = "base_url: an http or https address without a slash at its end."
  }
}
