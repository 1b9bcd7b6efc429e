# A bucket that is closed and encrypted, and keeps nothing for longer than it has to.

locals {
  # With the account's number, for names of buckets are unique in the world.
  name = "${var.context.prefix}${var.name}-${var.context.account_id}"
  # Written out, so that a plan shows policies before the bucket is made.
  arn = "arn:${var.context.partition}:s3:::${local.name}"
}

resource "aws_s3_bucket" "this" {
  bucket        = local.name
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

data "aws_iam_policy_document" "this" {
  statement {
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.arn, "${local.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  count = var.tls_only ? 1 : 0

  bucket = aws_s3_bucket.this.bucket
  policy = data.aws_iam_policy_document.this.json

  # A bucket takes one such change at a time.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_versioning" "this" {
  count = var.version_days == null ? 0 : 1

  bucket = aws_s3_bucket.this.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  # Where there are versions, a file that ends is the newest of them first, and is then kept as long
  # as those before it; S3 takes its mark away by itself.
  dynamic "rule" {
    for_each = var.expiration == null ? [] : [var.expiration]
    content {
      id     = "files-end"
      status = "Enabled"
      filter {
        prefix = rule.value.prefix
      }
      expiration {
        days = rule.value.days
      }
    }
  }

  dynamic "rule" {
    for_each = var.version_days == null ? [] : [var.version_days]
    content {
      id     = "versions-end"
      status = "Enabled"
      filter {
        prefix = ""
      }
      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }

  # No run takes that long: what nobody completed or aborted goes.
  rule {
    id     = "uploads-given-up"
    status = "Enabled"
    filter {
      prefix = ""
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  # What ends is another thing where there are versions.
  depends_on = [aws_s3_bucket_versioning.this]
}
