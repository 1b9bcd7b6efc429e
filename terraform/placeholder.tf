# The code of a function that nobody has deployed yet. From S3, because the provider uploads local
# files one function after another, five seconds each; from here all are made side by side.
resource "aws_s3_bucket" "code" {
  bucket_prefix = "${local.prefix}code-"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "code" {
  bucket                  = aws_s3_bucket.code.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "placeholder" {
  bucket      = aws_s3_bucket.code.bucket
  key         = "placeholder.zip"
  source      = "${path.module}/placeholder/placeholder.zip"
  source_hash = filemd5("${path.module}/placeholder/placeholder.zip")
}
