# What every function that speaks with Twilio needs to know.

locals {
  twilio_parameters = {
    TWILIO_ACCOUNT_SID = { secret = true }
    TWILIO_AUTH_TOKEN  = { secret = true }
    # Filled while the token is being changed; unfilled, nothing is signed by it.
    TWILIO_AUTH_TOKEN_SECONDARY = { secret = true }
  }
}

module "twilio_parameters" {
  source = "./modules/parameters"

  path       = local.context.parameter_path
  parameters = local.twilio_parameters
}
