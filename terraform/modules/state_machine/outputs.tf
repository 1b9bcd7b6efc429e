output "arn" {
  description = "The machine's ARN, known once it is made: `aws stepfunctions start-execution` takes it."
  value       = aws_sfn_state_machine.this.arn
}
