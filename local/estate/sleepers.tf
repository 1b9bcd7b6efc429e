# What sleeps at night: by its tag Schedule, and by what the scheduler remembers in further tags. The
# databases among it are made beside this, through the API.

locals {
  office_hours = { Schedule = "office-hours" }
}

data "aws_ami" "this" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-*"]
  }
}

# The last one has no such tag, and is left alone.
resource "aws_instance" "this" {
  for_each = { "myapp-web-1" = local.office_hours, "myapp-web-2" = local.office_hours, "myapp-bastion" = {} }

  ami           = data.aws_ami.this.id
  instance_type = "t3.micro"
  subnet_id     = aws_subnet.private["a"].id

  tags = merge(each.value, { Name = each.key })
}

resource "aws_launch_template" "this" {
  name          = "myapp-worker"
  image_id      = data.aws_ami.this.id
  instance_type = "t3.micro"
}

resource "aws_autoscaling_group" "this" {
  name                = "myapp-worker"
  min_size            = 1
  max_size            = 4
  desired_capacity    = 2
  vpc_zone_identifier = [for subnet in aws_subnet.private : subnet.id]

  launch_template {
    id      = aws_launch_template.this.id
    version = "$Latest"
  }

  dynamic "tag" {
    for_each = merge(local.office_hours, { Name = "myapp-worker" })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity, max_size, min_size] # the scheduler's
  }
}

resource "aws_ecs_cluster" "this" {
  name = "myapp"
}

resource "aws_ecs_task_definition" "this" {
  family                   = "myapp-api"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  container_definitions    = jsonencode([{ name = "api", image = "public.ecr.aws/docker/library/nginx:stable", essential = true }])
}

resource "aws_ecs_service" "this" {
  name            = "api"
  cluster         = aws_ecs_cluster.this.arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = 2
  launch_type     = "FARGATE"

  network_configuration {
    subnets = [for subnet in aws_subnet.private : subnet.id]
  }

  tags = local.office_hours

  lifecycle {
    # The scheduler's; and what the emulator answers otherwise than AWS.
    ignore_changes = [desired_count, availability_zone_rebalancing]
  }
}
