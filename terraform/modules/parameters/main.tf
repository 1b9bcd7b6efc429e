resource "aws_ssm_parameter" "plain" {
  for_each = { for name, parameter in var.parameters : name => parameter.value if !parameter.secret }

  name  = "${var.path}/${each.key}"
  type  = "String"
  value = each.value
  # The standard tier ends at 4096 bytes (5462 characters of Base64).
  tier = length(trim(base64encode(each.value), "=")) > 5462 ? "Intelligent-Tiering" : "Standard"
}

# Write-only: what a person fills in later is neither read back into the state nor undone.
resource "aws_ssm_parameter" "secret" {
  for_each = { for name, parameter in var.parameters : name => parameter if parameter.secret }

  name             = "${var.path}/${each.key}"
  type             = "SecureString"
  value_wo         = "unset: fill with make secret" # functions/common/parameters.py knows these words
  value_wo_version = 1
}
