output "functions" {
  description = "What lambroll reads, and all that it reads: function => name, role_arn, log_group, environment, timeout, vpc."
  value = {
    cloudwatch_to_mackerel = module.cloudwatch_to_mackerel.contract
    cloudwatch_to_slack    = module.cloudwatch_to_slack.contract
    data_export            = module.data_export.contract
    db_to_cloudwatch       = module.db_to_cloudwatch.contract
    env_scheduler          = module.env_scheduler.contract
    export_link            = module.export_link.contract
    export_mail            = module.export_mail.contract
    kpi_to_s3              = module.kpi_to_s3.contract
    phone_call             = module.phone_call.contract
    phone_callback         = module.phone_callback.contract
    phone_sweep            = module.phone_sweep.contract
    s3_to_bigquery         = module.s3_to_bigquery.contract
  }

  precondition {
    condition     = alltrue([for namespace in local.db_to_cloudwatch_namespaces : namespace != null])
    error_message = "No line namespace = \"…\" at the head of functions/db_to_cloudwatch/queries/: ${join(", ", [for file, namespace in local.db_to_cloudwatch_namespaces : file if namespace == null])}"
  }
}

output "db_to_cloudwatch" {
  description = "What its role may do that depends on its queries: namespaces, to put metrics into."
  value       = { namespaces = distinct(compact(values(local.db_to_cloudwatch_namespaces))) }
}

output "phone_escalation" {
  description = <<-EOT
    Where the phone escalation is reached: base_url, callers (name => id of the API key, whose value
    `aws apigateway get-api-key --include-value` tells), alarm_topics (name => ARN), table.
  EOT
  value = {
    base_url     = module.phone_api.base_url
    callers      = { for name, key in aws_api_gateway_api_key.caller : name => key.id }
    alarm_topics = { for name, topic in aws_sns_topic.phone : name => topic.arn }
    table        = aws_dynamodb_table.phone_escalation.name
  }
}

output "env_scheduler" {
  description = "What puts the environment to sleep and wakes it: state_machine_arn, for start-execution."
  value       = { state_machine_arn = module.env_scheduler_machine.arn }
}

output "data_export" {
  description = <<-EOT
    How exports are asked for and where they are: queue_url, queue_arn, dead_letter_queue_url, bucket,
    table, base_url (of links), sender_policy_json (the policy of an application that sends jobs).
  EOT
  value = {
    queue_url             = module.export_queue.url
    queue_arn             = module.export_queue.arn
    dead_letter_queue_url = module.export_queue.dead_url
    bucket                = module.export_bucket.name
    table                 = aws_dynamodb_table.data_export.name
    base_url              = module.export_api.base_url
    sender_policy_json    = data.aws_iam_policy_document.export_sender.json
  }
}

output "kpi_to_bigquery" {
  description = <<-EOT
    Where KPIs are: bucket, queue_url (of files to be loaded), dead_letter_queue_url, dataset, role_arn
    (of s3_to_bigquery, which Google lets in), runs (the payloads of kpi_to_s3's schedules).
  EOT
  value = {
    bucket                = module.kpi_bucket.name
    queue_url             = module.kpi_queue.url
    dead_letter_queue_url = module.kpi_queue.dead_url
    dataset               = var.kpi_to_bigquery.dataset
    role_arn              = module.s3_to_bigquery.contract.role_arn
    runs                  = [for schedule in values(var.kpi_to_bigquery.schedules) : jsondecode(schedule.input) if schedule.enabled]
  }
}
