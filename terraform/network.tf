# Where the functions that read the database run: private subnets without a way to the internet.

locals {
  # What such a function calls. Its log lines do not pass through the VPC.
  endpoint_services = var.vpc_endpoints ? toset(["monitoring", "sqs", "ssm"]) : toset([])
  # What costs nothing, and is reached by the subnets' routes.
  gateway_services = var.vpc_endpoints ? { dynamodb = "DynamoDB", s3 = "S3" } : {}

  vpc = {
    subnet_ids         = var.network.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  }
}

resource "aws_security_group" "functions" {
  name        = "${local.prefix}functions"
  description = "Functions that read the database"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${local.prefix}functions" }
}

resource "aws_vpc_security_group_egress_rule" "functions_to_database" {
  security_group_id            = aws_security_group.functions.id
  description                  = "MySQL"
  referenced_security_group_id = var.database.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
}

# The database's group is its owner's. Should that owner write its rules inline, they would take this
# one out again: then let them write it.
resource "aws_vpc_security_group_ingress_rule" "database_from_functions" {
  security_group_id            = var.database.security_group_id
  description                  = "${local.prefix}functions"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
}

resource "aws_vpc_security_group_egress_rule" "functions_to_https" {
  for_each = var.https_egress_cidr_blocks

  security_group_id = aws_security_group.functions.id
  description       = "AWS APIs through what the environment brings"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "functions_to_prefix_lists" {
  for_each = var.https_egress_prefix_list_ids

  security_group_id = aws_security_group.functions.id
  description       = "AWS APIs through what the environment brings"
  prefix_list_id    = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "endpoints" {
  count = var.vpc_endpoints ? 1 : 0

  name        = "${local.prefix}endpoints"
  description = "Interface endpoints of AWS APIs"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${local.prefix}endpoints" }
}

resource "aws_vpc_security_group_egress_rule" "functions_to_endpoints" {
  count = var.vpc_endpoints ? 1 : 0

  security_group_id            = aws_security_group.functions.id
  description                  = "AWS APIs"
  referenced_security_group_id = aws_security_group.endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_functions" {
  count = var.vpc_endpoints ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "${local.prefix}functions"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# Needs DNS support and DNS hostnames switched on in the VPC.
resource "aws_vpc_endpoint" "api" {
  for_each = local.endpoint_services

  vpc_id              = var.network.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.current.name}.${each.value}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.network.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true

  tags = { Name = "${local.prefix}${each.value}" }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_services

  vpc_id            = var.network.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.network.route_table_ids

  tags = { Name = "${local.prefix}${each.key}" }
}

resource "aws_vpc_security_group_egress_rule" "functions_to_gateways" {
  for_each = local.gateway_services

  security_group_id = aws_security_group.functions.id
  description       = each.value
  prefix_list_id    = aws_vpc_endpoint.gateway[each.key].prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# A route table takes one such endpoint of a service, so the one that is there has to be the one.
moved {
  from = aws_vpc_endpoint.dynamodb[0]
  to   = aws_vpc_endpoint.gateway["dynamodb"]
}
moved {
  from = aws_vpc_security_group_egress_rule.functions_to_dynamodb[0]
  to   = aws_vpc_security_group_egress_rule.functions_to_gateways["dynamodb"]
}
