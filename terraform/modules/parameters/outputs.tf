output "names" {
  description = "The parameters' full names, by their short ones."
  value       = { for name, parameter in merge(aws_ssm_parameter.plain, aws_ssm_parameter.secret) : name => parameter.name }
}
