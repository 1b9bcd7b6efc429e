# Where the files lie until their links end.

resource "aws_s3_bucket" "exports" {
  bucket        = local.export_bucket
  force_destroy = var.data_export.force_destroy
}

resource "aws_s3_bucket_public_access_block" "exports" {
  bucket                  = aws_s3_bucket.exports.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "exports" {
  bucket = aws_s3_bucket.exports.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "exports" {
  bucket = aws_s3_bucket.exports.bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

data "aws_iam_policy_document" "exports_bucket" {
  statement {
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.export_bucket_arn, "${local.export_bucket_arn}/*"]
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

resource "aws_s3_bucket_policy" "exports" {
  count = var.data_export.tls_only ? 1 : 0

  bucket = aws_s3_bucket.exports.bucket
  policy = data.aws_iam_policy_document.exports_bucket.json

  # A bucket takes one such change at a time.
  depends_on = [aws_s3_bucket_public_access_block.exports]
}

resource "aws_s3_bucket_lifecycle_configuration" "exports" {
  bucket = aws_s3_bucket.exports.bucket

  # S3 counts days from midnight UTC, and a link's last day is promised whole.
  rule {
    id     = "links-end"
    status = "Enabled"
    filter {
      prefix = "exports/"
    }
    expiration {
      days = var.data_export.link_days + 1
    }
  }

  # No job takes that long: what nobody completed or aborted goes.
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
}
