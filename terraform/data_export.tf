# Exports: an application puts a job into a queue, and a person gets a mail with a link to the file.
# What reads the database (data_export, in the VPC), what mails (export_mail) and what answers the
# click (export_link). The bucket, the API before export_link and the alarms stand in files beside.

locals {
  # Seconds. The queues' visibility derives from them: 6 × the timeout, as Lambda asks of a queue, so
  # that a message which waits for a free run does not come a second time meanwhile.
  export_timeout      = 900
  export_mail_timeout = 30
  export_visibility   = 6

  export_queues = {
    jobs     = "${local.prefix}exports"
    dead     = "${local.prefix}exports-dead"
    unmailed = "${local.prefix}exports-unmailed"
  }
  export_queue_arns = {
    for name, queue in local.export_queues :
    name => "arn:${local.context.partition}:sqs:${local.context.region}:${local.context.account_id}:${queue}"
  }
  export_table     = "${local.prefix}data_export"
  export_table_arn = "arn:${local.context.partition}:dynamodb:${local.context.region}:${local.context.account_id}:table/${local.export_table}"

  # With the account's number, for names of buckets are unique in the world.
  export_bucket      = "${local.prefix}exports-${local.context.account_id}"
  export_bucket_arn  = "arn:${local.context.partition}:s3:::${local.export_bucket}"
  export_objects_arn = "${local.export_bucket_arn}/exports/*"

  export_environment = {
    EXPORT_TABLE  = local.export_table
    EXPORT_BUCKET = local.export_bucket
  }
}

module "data_export" {
  source = "./modules/lambda_function"

  name              = "data_export"
  context           = local.context
  shared_parameters = keys(local.database_parameters)
  vpc               = local.vpc
  timeout           = local.export_timeout

  # The queue brings two at once; one more is for a call by hand.
  reserved_concurrent_executions = var.data_export.reserved_concurrency

  environment = merge(local.export_environment, {
    EXPORT_QUEUE_URL      = aws_sqs_queue.exports.url
    LINK_DAYS             = tostring(var.data_export.link_days)
    LEASE_SECONDS         = tostring(var.data_export.lease_seconds)
    DATABASE_REPLICA_HOST = var.data_export.replica_host == null ? "" : var.data_export.replica_host
  })

  statements = [
    {
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = [local.export_table_arn]
    },
    {
      actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      resources = [local.export_objects_arn]
    },
    {
      # What Lambda does for it, the heartbeat of a long job, and the message by which one goes on.
      actions = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
      ]
      resources = [local.export_queue_arns.jobs]
    },
  ]
}

module "export_mail" {
  source = "./modules/lambda_function"

  name    = "export_mail"
  context = local.context
  timeout = local.export_mail_timeout

  environment = merge(local.export_environment, {
    PUBLIC_BASE_URL = module.export_api.base_url
    MAIL_FROM       = var.data_export.mail_from
    LINK_DAYS       = tostring(var.data_export.link_days)
    TIMEZONE        = var.data_export.timezone
  })

  statements = [
    {
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = [local.export_table_arn]
    },
    {
      # A stream's last part is the moment when it was switched on.
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
      resources = ["${local.export_table_arn}/stream/*"]
    },
    # The API takes no resource.
    { actions = ["dynamodb:ListStreams"], resources = ["*"] },
    {
      # Held to the sender rather than to its identity, which may be the address's or its domain's. On
      # AWS that key is always there, so IfExists is as strict; an emulator that neither fills it in
      # nor knows identities lets mails through.
      actions   = ["ses:SendEmail"]
      resources = ["*"]
      conditions = [{
        test     = "StringEqualsIfExists"
        variable = "ses:FromAddress"
        values   = [var.data_export.mail_from]
      }]
    },
    # A job that is given up leaves no parts behind.
    { actions = ["s3:AbortMultipartUpload"], resources = [local.export_objects_arn] },
    {
      actions   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      resources = [local.export_queue_arns.dead]
    },
    { actions = ["sqs:SendMessage"], resources = [local.export_queue_arns.unmailed] },
    local.metrics_statement,
  ]
}

module "export_link" {
  source = "./modules/lambda_function"

  name        = "export_link"
  context     = local.context
  environment = merge(local.export_environment, { TIMEZONE = var.data_export.timezone })

  statements = [
    { actions = ["dynamodb:GetItem"], resources = [local.export_table_arn] },
    # A signed address may do what its signer may, at the moment when it is opened.
    { actions = ["s3:GetObject"], resources = [local.export_objects_arn] },
  ]
}

resource "aws_sqs_queue" "exports" {
  name                       = local.export_queues.jobs
  visibility_timeout_seconds = local.export_visibility * local.export_timeout
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.exports_dead.arn
    maxReceiveCount     = 5
  })
}

# What failed five times: its job is told to have failed, by mail.
resource "aws_sqs_queue" "exports_dead" {
  name                       = local.export_queues.dead
  visibility_timeout_seconds = local.export_visibility * local.export_mail_timeout
  message_retention_seconds  = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled    = true

  # By its name: that queue comes after this one.
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.export_queue_arns.jobs]
  })
}

# Where it stands in the stream that a mail was due, and could not be sent for hours: for a person.
resource "aws_sqs_queue" "exports_unmailed" {
  name                      = local.export_queues.unmailed
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}

# The database is asked by two at once, however many jobs wait.
resource "aws_lambda_event_source_mapping" "exports" {
  event_source_arn        = aws_sqs_queue.exports.arn
  function_name           = module.data_export.alias_arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}

resource "aws_lambda_event_source_mapping" "exports_dead" {
  event_source_arn        = aws_sqs_queue.exports_dead.arn
  function_name           = module.export_mail.alias_arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]
}

# A job whose mail is due, whatever became of it, is mailed outside the VPC.
resource "aws_lambda_event_source_mapping" "export_mail" {
  event_source_arn = aws_dynamodb_table.data_export.stream_arn
  function_name    = module.export_mail.alias_arn

  # A new mapping needs a while to start: what was written meanwhile is in the stream already. The
  # job itself says whether its mail is still due.
  starting_position = "TRIM_HORIZON"

  # One job a run, so that none waits for another, nor fails with it.
  batch_size             = 1
  parallelization_factor = 10

  # Six hours are long enough for SES to come back; how often it is tried meanwhile does not matter.
  maximum_retry_attempts        = -1
  maximum_record_age_in_seconds = 6 * 60 * 60

  filter_criteria {
    filter {
      pattern = jsonencode({ dynamodb = { NewImage = { mail = { S = ["due"] } } } })
    }
  }

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.exports_unmailed.arn
    }
  }
}

resource "aws_dynamodb_table" "data_export" {
  name             = local.export_table
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "job_id"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "job_id"
    type = "S"
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

# Until it is verified (SES mails the address a link), nothing is sent.
resource "aws_sesv2_email_identity" "exports" {
  count = var.data_export.mail_identity ? 1 : 0

  email_identity = var.data_export.mail_from
}

# What the role of an application attaches to send jobs.
data "aws_iam_policy_document" "export_sender" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [local.export_queue_arns.jobs]
  }
}
