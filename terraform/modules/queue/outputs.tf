output "arn" {
  description = "The queue's ARN, for what is made after it."
  value       = aws_sqs_queue.this.arn
}

output "url" {
  description = "The queue's address, for who sends to it."
  value       = aws_sqs_queue.this.url
}

output "dead_arn" {
  description = "The ARN of the dead letters' queue."
  value       = aws_sqs_queue.dead.arn
}

output "dead_url" {
  description = "The address of the dead letters' queue."
  value       = aws_sqs_queue.dead.url
}

output "dead_name" {
  description = "The name of the dead letters' queue, for alarms."
  value       = local.dead_name
}

output "known_arns" {
  description = "Both ARNs, `queue` and `dead`, known before the queues are there: for policies."
  value       = { queue = local.arn_of[local.name], dead = local.arn_of[local.dead_name] }
}
