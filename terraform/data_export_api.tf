# The API: what the link in a mail leads to.

module "export_api" {
  source = "./modules/rest_api"

  name        = "exports"
  description = "Leads from the link in a mail to the file"
  context     = local.context

  # A base for all APIs has their id in it; one without is the phone escalation's.
  base_url = var.data_export.base_url != null ? var.data_export.base_url : (
    try(strcontains(var.api_base_url, "{api_id}"), false) ? var.api_base_url : null
  )

  routes = {
    # A browser sends no key: the token is looked at in the function.
    link = {
      function = "export_link"
      method   = "GET"
      path     = "exports/{job}/{token}"
    }
  }
  throttle = { rate_limit = 20, burst_limit = 50 } # some people who click
  functions = {
    export_link = module.export_link.contract.name
  }

  # A stage with logs is refused without it.
  depends_on = [aws_api_gateway_account.this]
}
