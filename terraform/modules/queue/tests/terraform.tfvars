# The variables of every file of tests here.
name = "samples"
context = {
  prefix     = "mimamori-staging-"
  partition  = "aws"
  region     = "ap-northeast-1"
  account_id = "123456789012"
}
timeout  = 600
receives = 3
