terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # The rest stands in backend.s3.tfbackend.
  backend "s3" {}
}

# What the scheduler remembers of a resource stands in the resource's tags.
provider "aws" {
  ignore_tags {
    key_prefixes = ["mimamori:"]
  }
}
