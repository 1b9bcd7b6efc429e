# What a person has to look at, where there is somebody to tell.

locals {
  export_alarms = length(var.alarm_actions) == 0 ? {} : {
    exports-given-up = {
      description = "An export failed for good. Its requester has been mailed; the log of export_mail says why."
      namespace   = "Mimamori"
      metric      = "ExportsGivenUp"
      statistic   = "Sum"
      dimensions  = {}
    }
    exports-dead = {
      description = "A failed export waits in ${local.export_queues.dead}: export_mail does not take it, see its log."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = local.export_queues.dead }
    }
    exports-unmailed = {
      description = "A mail could not be sent for six hours: see the log of export_mail, then empty ${local.export_queues.unmailed}."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = local.export_queues.unmailed }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "exports" {
  for_each = local.export_alarms

  alarm_name          = "${local.prefix}${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
}
