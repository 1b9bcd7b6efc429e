# Exports: an application puts a job into a queue, and a person gets a mail with a link to the file.
# What reads the database (data_export, in the VPC), what mails (export_mail) and what answers the
# click (export_link). The API before export_link stands in a file beside.

locals {
  # Seconds. The queues' visibility derives from them.
  export_timeout      = 900
  export_mail_timeout = 30

  export_receives = 5 # of a job's message, until it is given up

  # A mail that cannot be sent is tried after 1, 2, 4, 8, 16 and 32 minutes, then each hour, six hours
  # in all: long enough for SES to come back.
  export_mail_retry    = 60 # seconds
  export_mail_receives = 11

  export_unmailed     = "${local.prefix}exports-unmailed"
  export_unmailed_arn = "arn:${local.context.partition}:sqs:${local.context.region}:${local.context.account_id}:${local.export_unmailed}"
  export_table        = "${local.prefix}data_export"
  export_table_arn    = "arn:${local.context.partition}:dynamodb:${local.context.region}:${local.context.account_id}:table/${local.export_table}"
  export_objects_arn  = "${module.export_bucket.arn}/exports/*"

  export_environment = {
    EXPORT_TABLE  = local.export_table
    EXPORT_BUCKET = module.export_bucket.name
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
    EXPORT_QUEUE_URL      = module.export_queue.url
    LINK_DAYS             = tostring(var.data_export.link_days)
    LEASE_SECONDS         = tostring(var.data_export.lease_seconds)
    RECEIVES              = tostring(local.export_receives)
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
      resources = [module.export_queue.known_arns.queue]
    },
  ]
}

# A long job goes on by a message to its own queue. To Lambda that is a loop, which it would stop after
# some sixteen turns; each of them has sent a part at least, and a job that sends none is refused.
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
resource "aws_lambda_function_recursion_config" "data_export" {
  function_name  = module.data_export.contract.name
  recursive_loop = "Allow"
}

module "export_mail" {
  source = "./modules/lambda_function"

  name    = "export_mail"
  context = local.context
  timeout = local.export_mail_timeout

  environment = merge(local.export_environment, {
    PUBLIC_BASE_URL  = module.export_api.base_url
    MAIL_FROM        = var.data_export.mail_from
    TIMEZONE         = var.data_export.timezone
    EXPORT_MAILS_URL = module.export_mails_queue.url
    RETRY_SECONDS    = tostring(local.export_mail_retry)
    RECEIVES         = tostring(local.export_mail_receives)
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
      resources = [module.export_queue.known_arns.dead]
    },
    { actions = ["sqs:SendMessage"], resources = [local.export_unmailed_arn] },
    {
      # What Lambda does for it, a mail that is to be tried again, and its growing pause.
      actions = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
      ]
      resources = [module.export_mails_queue.known_arns.queue]
    },
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

# Where the files lie until their links end.
module "export_bucket" {
  source = "./modules/bucket"

  name          = "exports"
  context       = local.context
  tls_only      = var.data_export.tls_only
  force_destroy = var.data_export.force_destroy

  # S3 counts days from midnight UTC, and a link's last day is promised whole.
  expiration = { prefix = "exports/", days = var.data_export.link_days + 1 }
}

# What failed five times is told to have failed, by mail.
module "export_queue" {
  source = "./modules/queue"

  name         = "exports"
  context      = local.context
  timeout      = local.export_timeout
  dead_timeout = local.export_mail_timeout
  receives     = local.export_receives
}

# Mails that cannot be sent now: outside of the stream, where one would hold up what is behind it.
module "export_mails_queue" {
  source = "./modules/queue"

  name     = "exports-mails"
  context  = local.context
  timeout  = local.export_mail_timeout
  receives = local.export_mail_receives
}

# Where it stands in the stream that a mail was due, and export_mail did not run for hours: for a
# person.
resource "aws_sqs_queue" "exports_unmailed" {
  name                      = local.export_unmailed
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true
}

# The database is asked by two at once, however many jobs wait.
resource "aws_lambda_event_source_mapping" "exports" {
  event_source_arn        = module.export_queue.arn
  function_name           = module.data_export.alias_arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}

resource "aws_lambda_event_source_mapping" "exports_dead" {
  event_source_arn        = module.export_queue.dead_arn
  function_name           = module.export_mail.alias_arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]
}

resource "aws_lambda_event_source_mapping" "export_mails" {
  event_source_arn        = module.export_mails_queue.arn
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

  # A run fails where it cannot even put a mail into its queue.
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

locals {
  export_alarms = {
    exports-given-up = {
      description = "An export failed for good. Its requester has been mailed; the log of export_mail says why."
      namespace   = "Mimamori"
      metric      = "ExportsGivenUp"
      statistic   = "Sum"
      dimensions  = { Environment = var.environment }
    }
    exports-dead = {
      description = "A failed export waits in ${module.export_queue.dead_name}: export_mail does not take it, see its log."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = module.export_queue.dead_name }
    }
    exports-mails-refused = {
      description = "SES refused the mail of an export for good: an address, the sender, or an account in its sandbox. The log of export_mail, and make export-status, say why; make invoke FUNCTION=export_mail sends it anew."
      namespace   = "Mimamori"
      metric      = "ExportMailsRefused"
      statistic   = "Sum"
      dimensions  = { Environment = var.environment }
    }
    exports-mails-dead = {
      description = "A mail could not be sent for six hours: see the log of export_mail, then send ${module.export_mails_queue.dead_name} back to its queue."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = module.export_mails_queue.dead_name }
    }
    exports-unmailed = {
      description = "export_mail did not run for six hours, a mail is due: see its log, then empty ${local.export_unmailed}."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = local.export_unmailed }
    }
  }
}

# What the role of an application attaches to send jobs.
data "aws_iam_policy_document" "export_sender" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [module.export_queue.known_arns.queue]
  }
}
