# People on duty are phoned one after another: an entrance in the VPC (phone_call), what speaks with
# Twilio (phone_callback), what mends a session that got stuck (phone_sweep), and the table that
# holds the sessions. The API before them stands in phone_escalation_api.tf.

locals {
  phone_table     = "${local.prefix}phone_escalation"
  phone_table_arn = "arn:${local.context.partition}:dynamodb:${local.context.region}:${local.context.account_id}:table/${local.phone_table}"

  # What phone_call could not do, and Lambda gave up.
  phone_failed     = "${local.prefix}phone-failed"
  phone_call_arn   = "arn:${local.context.partition}:lambda:${local.context.region}:${local.context.account_id}:function:${local.prefix}phone_call:current"
  phone_failed_arn = "arn:${local.context.partition}:sqs:${local.context.region}:${local.context.account_id}:${local.phone_failed}"

  phone_environment = {
    PHONE_TABLE = local.phone_table
    # What Twilio signs is the address it was given; an event does not hold it.
    PUBLIC_BASE_URL = module.phone_api.base_url
    TIMEZONE        = var.phone_escalation.timezone
  }

  # Who is told what no group's channel is, and how.
  phone_slack = {
    SLACK_CHANNEL  = var.phone_escalation.slack_channel == null ? "" : var.phone_escalation.slack_channel
    SLACK_LANGUAGE = var.phone_escalation.language
  }
}

module "phone_call" {
  source = "./modules/lambda_function"

  name              = "phone_call"
  context           = local.context
  shared_parameters = keys(local.database_parameters)
  vpc               = local.vpc

  environment = merge(local.phone_environment, {
    ENV_TYPE = var.phone_escalation.env_type # for SNS, which knows no stage
    ALARM_GROUPS = jsonencode({
      for name, topic in var.phone_escalation.alarm_topics : "${local.prefix}phone-${name}" => topic.group_id
    })
  })

  # SNS calls it asynchronously: an alarm must not be lost, and a repeat joins the running escalation.
  # Three tries are over within minutes: then phone_sweep looks at what failed.
  maximum_retry_attempts = 2
  failure_queue_arn      = local.phone_failed_arn

  # A rotation with a gap or an overlap is found by day, not when the phone should ring.
  schedules = {
    check = {
      expression  = "cron(0 1 * * ? *)" # UTC
      description = "10:00 in Tokyo, every day"
      input       = jsonencode({ check = true })
    }
  }

  statements = [{
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [local.phone_table_arn]
  }]
}

module "phone_callback" {
  source = "./modules/lambda_function"

  name              = "phone_callback"
  context           = local.context
  environment       = merge(local.phone_environment, local.phone_slack)
  shared_parameters = keys(merge(local.twilio_parameters, local.slack_parameters))

  statements = [
    {
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [local.phone_table_arn]
    },
    {
      # A stream's last part is the moment when it was switched on.
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
      resources = ["${local.phone_table_arn}/stream/*"]
    },
    # The API takes no resource.
    { actions = ["dynamodb:ListStreams"], resources = ["*"] },
    local.metrics_statement,
  ]
}

module "phone_sweep" {
  source = "./modules/lambda_function"

  name    = "phone_sweep"
  context = local.context
  environment = merge(local.phone_environment, local.phone_slack, {
    FAILED_QUEUE_URL = aws_sqs_queue.phone_failed.url
    PHONE_CALL       = module.phone_call.alias_arn
  })
  shared_parameters = keys(merge(local.twilio_parameters, local.slack_parameters))

  # How soon what got stuck is mended is no matter of the environment.
  schedules = {
    every-minute = {
      expression  = "rate(1 minute)"
      description = "Every minute"
      input       = "{}"
    }
  }

  statements = [
    {
      actions   = ["dynamodb:Query"]
      resources = ["${local.phone_table_arn}/index/due"]
    },
    { actions = ["lambda:InvokeFunction"], resources = [local.phone_call_arn] },
    { actions = ["sqs:DeleteMessage", "sqs:ReceiveMessage"], resources = [local.phone_failed_arn] },
    {
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = [local.phone_table_arn]
    },
    local.metrics_statement,
  ]
}

resource "aws_sqs_queue" "phone_failed" {
  name                      = local.phone_failed
  message_retention_seconds = 4 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}

resource "aws_dynamodb_table" "phone_escalation" {
  name             = local.phone_table
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "token"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "token"
    type = "S"
  }
  attribute {
    name = "sweep"
    type = "S"
  }
  attribute {
    name = "due_at"
    type = "N"
  }

  # Sparse: only a session that is not at its end has the attribute `sweep`.
  global_secondary_index {
    name            = "due"
    hash_key        = "sweep"
    range_key       = "due_at"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  server_side_encryption {
    enabled = true
  }

  point_in_time_recovery {
    enabled = true
  }
}

# A session that says 'now' is dialled outside the VPC, at once.
resource "aws_lambda_event_source_mapping" "phone_callback" {
  event_source_arn = aws_dynamodb_table.phone_escalation.stream_arn
  function_name    = module.phone_callback.alias_arn

  # A new mapping needs a while to start: what was written meanwhile is in the stream already. What
  # is old there does no harm, for the session itself says whether anything is left to be done.
  starting_position = "TRIM_HORIZON"

  # One session a run, so that none waits for another, nor fails with it; a session's own changes
  # stay in order.
  batch_size             = 1
  parallelization_factor = 10

  # After that it is the sweeper's.
  maximum_retry_attempts        = 2
  maximum_record_age_in_seconds = 60

  filter_criteria {
    filter {
      pattern = jsonencode({ dynamodb = { NewImage = { act = { S = ["now"] } } } })
    }
  }
}

# CloudWatch alarms come through SNS: a topic for each group that they may call.
# Not encrypted: the key that AWS brings for SNS (alias/aws/sns) lets no alarm publish, and an alarm's
# name and numbers are not worth a key of one's own.
resource "aws_sns_topic" "phone" {
  for_each = var.phone_escalation.alarm_topics

  name = "${local.prefix}phone-${each.key}"
}

data "aws_iam_policy_document" "phone_topic" {
  for_each = var.phone_escalation.alarm_topics

  statement {
    actions   = ["sns:Publish"]
    resources = ["arn:${local.context.partition}:sns:${local.context.region}:${local.context.account_id}:${local.prefix}phone-${each.key}"]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.context.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "phone" {
  for_each = var.phone_escalation.alarm_topics

  arn    = aws_sns_topic.phone[each.key].arn
  policy = data.aws_iam_policy_document.phone_topic[each.key].json
}

resource "aws_sns_topic_subscription" "phone" {
  for_each = var.phone_escalation.alarm_topics

  topic_arn = aws_sns_topic.phone[each.key].arn
  protocol  = "lambda"
  endpoint  = module.phone_call.alias_arn
}

resource "aws_lambda_permission" "phone_topic" {
  for_each = var.phone_escalation.alarm_topics

  statement_id  = "topic-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = module.phone_call.contract.name
  qualifier     = "current"
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.phone[each.key].arn
}

locals {
  phone_alarms = {
    phone-alarm-lost = {
      description = "A CloudWatch alarm could not be phoned, and nobody was: Slack, where slack_channel is set, and the log of phone_sweep say which and why."
      namespace   = "Mimamori"
      metric      = "PhoneAlarmLost"
      statistic   = "Sum"
      dimensions  = { Environment = var.environment }
    }
    phone-roster-problem = {
      description = "The tables of who is phoned have a mistake, found by a call or by the check of the morning: Slack and the log of phone_call say which rows. make invoke FUNCTION=phone_call EVENT=functions/phone_escalation/events/phone_call/check.json checks them again."
      namespace   = "Mimamori"
      metric      = "PhoneRosterProblem"
      statistic   = "Sum"
      dimensions  = { Environment = var.environment }
    }
  }
}
