resource "aws_cloudwatch_event_rule" "this" {
  for_each = var.schedules

  name                = "${local.name}-${each.key}"
  description         = each.value.description
  schedule_expression = each.value.expression
  state               = each.value.enabled ? "ENABLED" : "DISABLED"
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = var.schedules

  rule  = aws_cloudwatch_event_rule.this[each.key].name
  arn   = aws_lambda_alias.current.arn
  input = jsonencode(jsondecode(each.value.input)) # on one line
}

resource "aws_lambda_permission" "schedule" {
  for_each = var.schedules

  statement_id  = "schedule-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.current.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}
