provider "aws" {
  region                      = "ap-northeast-1"
  access_key                  = "made-up"
  secret_key                  = "made-up"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

variables {
  path = "/staging/myApp"
}

run "plain_and_secret" {
  command = plan

  variables {
    parameters = {
      HOST     = { value = "db.example.com" }
      PASSWORD = { secret = true }
    }
  }

  assert {
    condition     = aws_ssm_parameter.plain["HOST"].name == "/staging/myApp/HOST"
    error_message = "The name is path and name."
  }
  assert {
    condition     = aws_ssm_parameter.plain["HOST"].type == "String" && aws_ssm_parameter.plain["HOST"].tier == "Standard"
    error_message = "A plain value is a String of the standard tier."
  }
  assert {
    condition     = aws_ssm_parameter.secret["PASSWORD"].type == "SecureString"
    error_message = "A secret is a SecureString."
  }
  assert {
    condition     = aws_ssm_parameter.secret["PASSWORD"].value_wo == null && aws_ssm_parameter.secret["PASSWORD"].value_wo_version == 1
    error_message = "A secret is write-only."
  }
  assert {
    condition     = keys(aws_ssm_parameter.plain) == ["HOST"] && keys(aws_ssm_parameter.secret) == ["PASSWORD"]
    error_message = "Each is made once."
  }
}

run "standard_tier_up_to_4096_bytes" {
  command = plan

  variables {
    parameters = { CA = { value = format("%-4096s", "x") } }
  }

  assert {
    condition     = aws_ssm_parameter.plain["CA"].tier == "Standard"
    error_message = "4096 bytes are the standard tier's."
  }
}

run "more_in_the_advanced_tier_up_to_8192_bytes" {
  command = plan

  variables {
    parameters = { CA = { value = format("%-8192s", "x") } }
  }

  assert {
    condition     = aws_ssm_parameter.plain["CA"].tier == "Intelligent-Tiering"
    error_message = "SSM takes more than 4096 bytes in the advanced tier only."
  }
}

run "takes_a_name_of_1011_characters" {
  command = plan

  variables {
    parameters = { (join("", [for i in range(996) : "A"])) = { value = "x" } }
  }

  assert {
    condition     = length(aws_ssm_parameter.plain) == 1
    error_message = "SSM takes it."
  }
}
