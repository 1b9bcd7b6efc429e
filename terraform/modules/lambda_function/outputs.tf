output "contract" {
  description = "What lambroll needs to know of the function."
  value = {
    name        = aws_lambda_function.this.function_name
    role_arn    = aws_iam_role.this.arn
    log_group   = aws_cloudwatch_log_group.this.name
    environment = local.environment
    timeout     = var.timeout
    vpc = var.vpc == null ? null : {
      subnet_ids         = sort(var.vpc.subnet_ids)
      security_group_ids = sort(var.vpc.security_group_ids)
    }
  }
}

output "alias_arn" {
  description = "The ARN of the alias: what a trigger made elsewhere calls."
  value       = aws_lambda_alias.current.arn
}
