# What a customer has before Mimamori comes. The database is not here: Terraform's provider waits 80
# seconds for one, so it is made beside this through the API.

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"

  tags = { Name = "myapp" }
}

resource "aws_subnet" "private" {
  for_each = { a = "10.0.1.0/24", c = "10.0.2.0/24" }

  vpc_id            = aws_vpc.this.id
  cidr_block        = each.value
  availability_zone = "ap-northeast-1${each.key}"

  tags = { Name = "myapp-private-${each.key}" }
}

# Its rules are separate resources, Mimamori's among them.
resource "aws_security_group" "database" {
  name        = "myapp-database"
  description = "MySQL"
  vpc_id      = aws_vpc.this.id
}

resource "aws_cognito_user_pool" "this" {
  name = "myapp"
}

resource "aws_cognito_user_pool_client" "this" {
  name         = "web"
  user_pool_id = aws_cognito_user_pool.this.id
}
