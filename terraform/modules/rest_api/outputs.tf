output "id" {
  description = "The API's id, known once it is made."
  value       = aws_api_gateway_rest_api.this.id
}

output "stage" {
  description = "The stage's name, once the stage is there: for usage plans."
  value       = aws_api_gateway_stage.this.stage_name
}

output "base_url" {
  description = "Where the API is reached, the stage included, without a slash at its end."
  value       = local.base_url
}
