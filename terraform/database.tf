# What every function that reads the database needs to know.

locals {
  database_parameters = {
    DATABASE_HOST     = { value = var.database.host }
    DATABASE_PORT     = { value = tostring(var.database.port) }
    DATABASE_NAME     = { value = var.database.name }
    DATABASE_USER     = { value = var.database.user }
    DATABASE_CA       = { value = var.database.ca }
    DATABASE_PASSWORD = { secret = true }
  }
}

module "database_parameters" {
  source = "./modules/parameters"

  path       = local.context.parameter_path
  parameters = local.database_parameters
}
