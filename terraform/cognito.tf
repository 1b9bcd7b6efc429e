# What every function that watches the user pool needs to know.

locals {
  cognito_parameters = {
    AWS_COGNITO_USER_POOL_ID = { value = var.cognito.user_pool_id }
    AWS_COGNITO_CLIENT_ID    = { value = var.cognito.client_id }
    # SSM takes no empty value.
    AWS_COGNITO_IDENTITY_PROVIDERS = {
      value = length(var.cognito.identity_providers) == 0 ? "none" : join(",", var.cognito.identity_providers)
    }
  }
}

module "cognito_parameters" {
  source = "./modules/parameters"

  path       = local.context.parameter_path
  parameters = local.cognito_parameters
}
