# The variables of every file of tests here.
name = "sample"
context = {
  prefix             = "mimamori-staging-"
  parameter_path     = "/staging/myApp"
  partition          = "aws"
  region             = "ap-northeast-1"
  account_id         = "123456789012"
  log_retention_days = 30
  placeholder        = { bucket = "mimamori-staging-code", key = "placeholder.zip" }
}
