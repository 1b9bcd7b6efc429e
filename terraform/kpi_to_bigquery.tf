# KPIs: every morning a query becomes a file on S3 (kpi_to_s3, in the VPC), and the file a partition
# of a table in BigQuery (s3_to_bigquery, outside). S3 tells a queue of each file that it has.

locals {
  kpi_to_s3_timeout      = 900
  s3_to_bigquery_timeout = 600 # seconds; the queue's visibility derives from it

  kpi_environment = { KPI_BUCKET = module.kpi_bucket.name }
  kpi_objects_arn = "${module.kpi_bucket.arn}/kpi/*"
}

module "kpi_to_s3" {
  source = "./modules/lambda_function"

  name              = "kpi_to_s3"
  context           = local.context
  schedules         = var.kpi_to_bigquery.schedules
  shared_parameters = keys(local.database_parameters)
  vpc               = local.vpc
  timeout           = local.kpi_to_s3_timeout
  environment       = local.kpi_environment

  # The next run is a day away, and a repeat writes the same keys.
  maximum_retry_attempts = 2

  statements = [{
    # A file that is sent in parts has its number of rows as a tag.
    actions   = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectTagging"]
    resources = [local.kpi_objects_arn]
  }]
}

module "s3_to_bigquery" {
  source = "./modules/lambda_function"

  name    = "s3_to_bigquery"
  context = local.context
  timeout = local.s3_to_bigquery_timeout

  # No secret: it says whom Google may take the function's own role for. While it is not known, the
  # function's error shows these words.
  parameters = {
    GOOGLE_CREDENTIALS = {
      value = (
        var.google_credentials == null
        ? jsonencode({ type = "unset: it is google_credentials in terraform" })
        : jsonencode(jsondecode(var.google_credentials)) # on one line
      )
    }
  }

  environment = merge(local.kpi_environment, {
    BIGQUERY_PROJECT  = var.kpi_to_bigquery.project
    BIGQUERY_DATASET  = var.kpi_to_bigquery.dataset
    BIGQUERY_LOCATION = var.kpi_to_bigquery.location
    KPI_QUEUE_URL     = module.kpi_queue.url
    RETRY_SECONDS     = tostring(var.kpi_to_bigquery.retry_seconds)
  })

  statements = [
    { actions = ["s3:GetObject", "s3:GetObjectTagging"], resources = [local.kpi_objects_arn] },
    # Without it S3 does not say that a file is missing, but that it is forbidden.
    { actions = ["s3:ListBucket"], resources = [module.kpi_bucket.arn] },
    {
      actions = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
      ]
      resources = [module.kpi_queue.known_arns.queue]
    },
  ]
}

# The archive.
module "kpi_bucket" {
  source = "./modules/bucket"

  name          = "kpis"
  context       = local.context
  tls_only      = var.kpi_to_bigquery.tls_only
  force_destroy = var.kpi_to_bigquery.force_destroy

  # A day that is run once more replaces its file.
  version_days = 90
  expiration   = var.kpi_to_bigquery.archive_days == null ? null : { prefix = "kpi/", days = var.kpi_to_bigquery.archive_days }
}

module "kpi_queue" {
  source = "./modules/queue"

  name     = "kpis"
  context  = local.context
  timeout  = local.s3_to_bigquery_timeout
  receives = 3
  policy   = data.aws_iam_policy_document.kpi_queue.json
}

data "aws_iam_policy_document" "kpi_queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [module.kpi_queue.known_arns.queue]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [module.kpi_bucket.arn]
    }
    # A bucket's ARN says nothing of whose it is.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.context.account_id]
    }
  }
}

# The queue itself has it now.
removed {
  from = aws_sqs_queue_policy.kpis

  lifecycle {
    destroy = false
  }
}

resource "aws_s3_bucket_notification" "kpis" {
  bucket = module.kpi_bucket.name

  queue {
    id            = "files"
    queue_arn     = module.kpi_queue.arn # S3 tries whether it may send, by the queue's own policy.
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "kpi/"
    filter_suffix = ".csv"
  }
}

resource "aws_lambda_event_source_mapping" "kpis" {
  event_source_arn        = module.kpi_queue.arn
  function_name           = module.s3_to_bigquery.alias_arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 5
  }
}

locals {
  kpi_alarms = {
    kpis-failed = {
      description = "A run of kpi_to_s3 failed, and is repeated twice: its log names the KPIs and why."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      statistic   = "Sum"
      dimensions  = { FunctionName = module.kpi_to_s3.contract.name }
    }
    kpis-dead = {
      description = "A file of a KPI waits in ${module.kpi_queue.dead_name}: the log of s3_to_bigquery says why. Then send it back to its queue."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = module.kpi_queue.dead_name }
    }
  }
}
