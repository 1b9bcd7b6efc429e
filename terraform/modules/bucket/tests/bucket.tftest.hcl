provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

run "closed_and_encrypted" {
  command = plan

  assert {
    condition     = aws_s3_bucket.this.bucket == "mimamori-staging-samples-123456789012" && aws_s3_bucket.this.force_destroy == false
    error_message = "A name that no other account has; files are not destroyed with it."
  }
  assert {
    condition     = output.name == "mimamori-staging-samples-123456789012" && output.arn == "arn:aws:s3:::mimamori-staging-samples-123456789012"
    error_message = "Known beforehand."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "Nothing of it is public."
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "No file is another account's."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Files are encrypted."
  }
}

run "plain_http_is_refused" {
  command = plan

  assert {
    condition = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement == [{
      Action    = "s3:*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      Effect    = "Deny"
      Principal = "*"
      Resource  = ["arn:aws:s3:::mimamori-staging-samples-123456789012/*", "arn:aws:s3:::mimamori-staging-samples-123456789012"]
    }]
    error_message = "To everybody, for the bucket and its files."
  }
}

run "nothing_ends_but_uploads" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 0
    error_message = "No versions unless they are asked for."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["uploads-given-up"] && aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 2
    error_message = "Files are kept."
  }
}

run "files_and_versions_end" {
  command = plan

  variables {
    expiration    = { prefix = "samples/", days = 8 }
    version_days  = 90
    tls_only      = false
    force_destroy = true
  }

  assert {
    condition     = aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled"
    error_message = "There are versions."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["files-end", "versions-end", "uploads-given-up"] && alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.status == "Enabled"])
    error_message = "A rule for each."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].filter[0].prefix == "samples/" && aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration[0].days == 8
    error_message = "Files of the prefix."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Versions that are not the newest."
  }
  assert {
    condition     = length(aws_s3_bucket_policy.this) == 0 && aws_s3_bucket.this.force_destroy
    error_message = "Each can be left out."
  }
}

run "takes_a_name_of_63_characters" {
  command = plan

  variables {
    name = format("a%032d", 0)
  }

  assert {
    condition     = length(aws_s3_bucket.this.bucket) == 63
    error_message = "S3 takes 63."
  }
}
