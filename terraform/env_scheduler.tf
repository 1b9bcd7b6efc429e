# Environments sleep at night and on holidays: a function that decides and acts, and a state machine
# that leads it through the kinds of resources, one after another.

locals {
  env_scheduler_arns = {
    for service in ["application-autoscaling", "autoscaling", "dynamodb", "ec2", "ecs", "lambda", "rds", "states"] :
    service => "arn:${local.context.partition}:${service}:${local.context.region}:${local.context.account_id}"
  }
  # Both by their names: each is told of the other before either is made.
  env_scheduler_machine_arn = "${local.env_scheduler_arns.states}:stateMachine:${local.prefix}env_scheduler"
  env_scheduler_alias_arn   = "${local.env_scheduler_arns.lambda}:function:${local.prefix}env_scheduler:current"

  env_scheduler_looks     = "${local.prefix}env_scheduler-looks"
  env_scheduler_looks_arn = "${local.env_scheduler_arns.dynamodb}:table/${local.env_scheduler_looks}"

  env_scheduler_tag_values = sort([for _, schedule in var.env_scheduler.schedules : schedule.tag])

  # A schedule as a payload has it.
  env_scheduler_schedules = {
    for name, schedule in var.env_scheduler.schedules : name => {
      name          = name
      days          = schedule.days
      start         = schedule.start
      stop          = schedule.stop
      timezone      = schedule.timezone
      holidays      = schedule.holidays
      days_off      = schedule.days_off
      tag           = schedule.tag
      grace_minutes = schedule.grace_minutes
    }
  }

  # What each kind takes to be stopped and started, and to remember it by. Which resources those are
  # is known by their tags only.
  env_scheduler_kinds = {
    rds_clusters = {
      acts      = ["rds:StartDBCluster", "rds:StopDBCluster"]
      marks     = ["rds:AddTagsToResource"]
      resources = ["${local.env_scheduler_arns.rds}:cluster:*"]
    }
    rds_instances = {
      acts      = ["rds:StartDBInstance", "rds:StopDBInstance"]
      marks     = ["rds:AddTagsToResource"]
      resources = ["${local.env_scheduler_arns.rds}:db:*"]
    }
    auto_scaling_groups = {
      acts      = ["autoscaling:UpdateAutoScalingGroup"]
      marks     = ["autoscaling:CreateOrUpdateTags"]
      resources = ["${local.env_scheduler_arns.autoscaling}:autoScalingGroup:*:autoScalingGroupName/*"]
    }
    ecs_services = {
      acts  = ["ecs:UpdateService"]
      marks = []
      # AWS asks for the service alone; an emulator asks for its cluster instead.
      resources = ["${local.env_scheduler_arns.ecs}:cluster/*", "${local.env_scheduler_arns.ecs}:service/*"]
    }
    ecs_services_tags = {
      acts      = []
      marks     = ["ecs:TagResource"]
      resources = ["${local.env_scheduler_arns.ecs}:service/*"]
    }
    # An ECS service that scales: its target has a tag of its own, which is to be the same.
    scalable_targets = {
      acts      = ["application-autoscaling:RegisterScalableTarget"]
      marks     = []
      resources = ["${local.env_scheduler_arns["application-autoscaling"]}:scalable-target/*"]
    }
    ec2_instances = {
      acts      = ["ec2:StartInstances", "ec2:StopInstances"]
      marks     = ["ec2:CreateTags"]
      resources = ["${local.env_scheduler_arns.ec2}:instance/*"]
    }
  }
  # Where nothing is ever to sleep, nothing is allowed.
  env_scheduler_touchable = {
    for name, kind in local.env_scheduler_kinds : name => kind if length(local.env_scheduler_tag_values) > 0
  }

  # All of these actions judge by the tag of the resource that they are done to.
  # https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
  env_scheduler_tagged = {
    test     = "StringEquals"
    variable = "aws:ResourceTag/${var.env_scheduler.tag_key}"
    values   = local.env_scheduler_tag_values
  }
  # It writes what it remembers, and can never give itself, or take away, the tag that lets it in.
  env_scheduler_marks = {
    test     = "ForAllValues:StringEquals"
    variable = "aws:TagKeys"
    values   = ["mimamori:scheduler", "mimamori:size"]
  }
}

module "env_scheduler" {
  source = "./modules/lambda_function"

  name              = "env_scheduler"
  context           = local.context
  shared_parameters = keys(local.slack_parameters)

  environment = {
    LOOKS_TABLE       = local.env_scheduler_looks
    STATE_MACHINE_ARN = local.env_scheduler_machine_arn
    TAG_KEY           = var.env_scheduler.tag_key
    # What may be touched, and what `status` tells of.
    SCHEDULES = jsonencode(values(local.env_scheduler_schedules))
  }

  # A rule does not know of boundaries: every run looks at the latest one, so that a run which is
  # missed is made up for by the next.
  schedules = {
    for name, schedule in var.env_scheduler.schedules : name => {
      expression  = "cron(0/15 * * * ? *)"
      description = "Every quarter of an hour"
      enabled     = schedule.enabled
      input = jsonencode({
        for field, value in {
          schedule = local.env_scheduler_schedules[name]
          channel  = schedule.channel
          language = schedule.language
        } : field => value if value != null
      })
    }
  }

  statements = concat(
    [
      # To list takes no resource; to describe takes some, but which there are is what is asked.
      {
        actions = [
          "application-autoscaling:DescribeScalableTargets",
          "autoscaling:DescribeAutoScalingGroups",
          "ec2:DescribeInstances",
          "ec2:DescribeSpotInstanceRequests",
          "ecs:DescribeServices",
          "rds:DescribeDBClusters",
          "rds:DescribeDBInstances",
          "rds:DescribeEvents",
          "rds:DescribeGlobalClusters",
          "tag:GetResources",
        ]
        resources = ["*"]
      },
      { actions = ["states:ListExecutions", "states:StartExecution"], resources = [local.env_scheduler_machine_arn] },
      { actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = [local.env_scheduler_looks_arn] },
    ],
    [for _, kind in local.env_scheduler_touchable : {
      actions    = kind.acts
      resources  = kind.resources
      conditions = var.env_scheduler.tag_condition ? [local.env_scheduler_tagged] : []
    } if length(kind.acts) > 0],
    [for _, kind in local.env_scheduler_touchable : {
      actions    = kind.marks
      resources  = var.env_scheduler.tag_condition ? kind.resources : ["*"]
      conditions = concat([local.env_scheduler_marks], var.env_scheduler.tag_condition ? [local.env_scheduler_tagged] : [])
    } if length(kind.marks) > 0],
    # An instance with volumes that a key of one's own encrypts starts for those only who may let EC2
    # use that key. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    length(var.env_scheduler.kms_key_arns) == 0 ? [] : [{
      actions   = ["kms:CreateGrant"]
      resources = var.env_scheduler.kms_key_arns
      conditions = [
        { test = "Bool", variable = "kms:GrantIsForAWSResource", values = ["true"] },
        { test = "StringEquals", variable = "kms:ViaService", values = ["ec2.${local.context.region}.amazonaws.com"] },
      ]
    }],
  )
}

# When each kind was last looked at whole, an item a schedule: without it nobody could tell what was
# tagged before a boundary from what was tagged after it.
resource "aws_dynamodb_table" "env_scheduler_looks" {
  name         = local.env_scheduler_looks
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "schedule"

  attribute {
    name = "schedule"
    type = "S"
  }

  server_side_encryption {
    enabled = true
  }
}

module "env_scheduler_machine" {
  source = "./modules/state_machine"

  name       = "env_scheduler"
  context    = local.context
  alias_arns = [local.env_scheduler_alias_arn]
  definition = templatefile("${path.module}/state_machines/env_scheduler.asl.json", {
    function  = local.env_scheduler_alias_arn
    partition = local.context.partition
  })
}
