provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

run "queue" {
  command = plan

  # Its ARN stands in the redrive policy.
  override_resource {
    target          = aws_sqs_queue.dead
    override_during = plan
    values          = { arn = "arn:aws:sqs:ap-northeast-1:123456789012:mimamori-staging-samples-dead" }
  }

  assert {
    condition     = aws_sqs_queue.this.name == "mimamori-staging-samples" && aws_sqs_queue.dead.name == "mimamori-staging-samples-dead"
    error_message = "Two queues, known by their names."
  }
  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 3600
    error_message = "A message waits for six times as long as a run may take."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy) == { deadLetterTargetArn = output.known_arns.dead, maxReceiveCount = 3 }
    error_message = "After the third time it is a dead letter."
  }
  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.dead.sqs_managed_sse_enabled
    error_message = "Both are encrypted."
  }
  assert {
    condition     = output.known_arns == { queue = "arn:aws:sqs:ap-northeast-1:123456789012:mimamori-staging-samples", dead = "arn:aws:sqs:ap-northeast-1:123456789012:mimamori-staging-samples-dead" }
    error_message = "Policies know them beforehand."
  }
}

run "dead_letters_of_a_person" {
  command = plan

  assert {
    condition     = aws_sqs_queue.dead.visibility_timeout_seconds == 30 && aws_sqs_queue.dead.message_retention_seconds == 1209600
    error_message = "As long as SQS keeps anything."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.dead.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:ap-northeast-1:123456789012:mimamori-staging-samples"] }
    error_message = "Of this queue only."
  }
  assert {
    condition     = output.dead_name == "mimamori-staging-samples-dead"
    error_message = "An alarm watches it."
  }
}

run "dead_letters_of_a_function" {
  command = plan

  variables {
    dead_timeout = 30
  }

  assert {
    condition     = aws_sqs_queue.dead.visibility_timeout_seconds == 180
    error_message = "The same holds for its function."
  }
}

run "with_a_policy_of_its_own" {
  command = plan

  variables {
    policy = jsonencode({ Version = "2012-10-17", Statement = [] })
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.policy) == { Version = "2012-10-17", Statement = [] }
    error_message = "From its start."
  }
}

run "takes_a_name_of_75_characters_with_its_prefix" {
  command = plan

  variables {
    name = format("a%057d", 0)
  }

  assert {
    condition     = length(aws_sqs_queue.dead.name) == 80
    error_message = "SQS takes 80."
  }
}
