output "functions" {
  description = "What lambroll reads, and all that it reads: function => name, role_arn, log_group, environment, vpc."
  value = {
    cloudwatch_to_mackerel = module.cloudwatch_to_mackerel.contract
    cloudwatch_to_slack    = module.cloudwatch_to_slack.contract
    db_to_cloudwatch       = module.db_to_cloudwatch.contract
  }

  precondition {
    condition     = alltrue([for namespace in local.db_to_cloudwatch_namespaces : namespace != null])
    error_message = "No line namespace = \"…\" at the head of functions/db_to_cloudwatch/queries/: ${join(", ", [for file, namespace in local.db_to_cloudwatch_namespaces : file if namespace == null])}"
  }
}
