# The variables of every file of tests here.
name = "samples"
context = {
  prefix     = "mimamori-staging-"
  partition  = "aws"
  account_id = "123456789012"
}
