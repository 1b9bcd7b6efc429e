# The variables of every file of tests here.
name        = "sample"
description = "Answers samples"
context = {
  prefix             = "mimamori-staging-"
  partition          = "aws"
  region             = "ap-northeast-1"
  account_id         = "123456789012"
  log_retention_days = 30
}
routes = {
  make = {
    function = "sample"
    method   = "POST"
    path     = "samples/{id}"
    key      = true
    models   = { "application/json" = "Sample" }
  }
  look = {
    function    = "another"
    method      = "GET"
    path        = "samples/{id}/{part}"
    querystring = ["token"]
  }
}
throttle = { rate_limit = 0.5, burst_limit = 1 }
functions = {
  sample  = "mimamori-staging-sample"
  another = "mimamori-staging-another"
}
