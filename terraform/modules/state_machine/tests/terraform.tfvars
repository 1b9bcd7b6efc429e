# The variables of every file of tests here.
name = "sample"
context = {
  prefix             = "mimamori-staging-"
  partition          = "aws"
  region             = "ap-northeast-1"
  account_id         = "123456789012"
  log_retention_days = 30
}
alias_arns = ["arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-sample:current"]
definition = <<-JSON
  {
    "StartAt": "Call",
    "States": {
      "Call": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
          "FunctionName": "arn:aws:lambda:ap-northeast-1:123456789012:function:mimamori-staging-sample:current"
        },
        "End": true
      }
    }
  }
JSON
