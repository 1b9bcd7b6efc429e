terraform {
  required_version = ">= 1.11" # write-only arguments keep secrets out of the state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # The rest stands in environments/<environment>.s3.tfbackend.
  backend "s3" {}
}
