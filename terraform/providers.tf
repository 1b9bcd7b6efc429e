# Region, credentials and endpoints come from the shell (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL).
provider "aws" {
  default_tags {
    tags = {
      project     = var.project
      environment = var.environment
    }
  }
}
