output "network" {
  description = "Mimamori's variable of the same name."
  value = {
    vpc_id     = aws_vpc.this.id
    subnet_ids = [for subnet in aws_subnet.private : subnet.id]
  }
}

output "cognito" {
  description = "Mimamori's variable of the same name."
  value = {
    user_pool_id = aws_cognito_user_pool.this.id
    client_id    = aws_cognito_user_pool_client.this.id
    # By name alone: nobody signs in through them here, the seeded metrics tell of them.
    identity_providers = ["Google", "LINE"]
  }
}

output "database_security_group_id" {
  description = "The last of the fields of Mimamori's variable database."
  value       = aws_security_group.database.id
}
