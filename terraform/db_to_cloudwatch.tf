locals {
  # Each query names its namespace in the comment at its head, so a new KPI is a new file and no more.
  db_to_cloudwatch_queries = {
    for file in fileset("${path.module}/../functions/db_to_cloudwatch/queries", "*.sql") :
    file => try(regex("^\\s*/\\*[\\s\\S]*?\\*/", file("${path.module}/../functions/db_to_cloudwatch/queries/${file}")), "")
  }
  db_to_cloudwatch_namespaces = {
    for file, header in local.db_to_cloudwatch_queries :
    file => one(flatten(regexall("(?m)^namespace\\s*=\\s*[\"']([^\"']+)[\"']", header)))
  }
}

module "db_to_cloudwatch" {
  source = "./modules/lambda_function"

  name              = "db_to_cloudwatch"
  context           = local.context
  schedules         = var.db_to_cloudwatch.schedules
  shared_parameters = keys(local.database_parameters)
  vpc               = local.vpc

  statements = [{
    # PutMetricData takes no resource; its namespace is what it can be held to. On AWS that key is
    # always there, so IfExists is as strict; an emulator that does not fill it in lets calls through.
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"]
    conditions = [{
      test     = "StringEqualsIfExists"
      variable = "cloudwatch:namespace"
      values   = distinct(compact(values(local.db_to_cloudwatch_namespaces)))
    }]
  }]
}
