# Runs on variables.tf alone: what is refused needs no provider.
variables {
  google_credentials = <<-JSON
    {
      "type": "external_account",
      "audience": "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/mimamori-aws/providers/mimamori",
      "token_url": "https://sts.googleapis.com/v1/token",
      "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/mimamori@example-kpis.iam.gserviceaccount.com:generateAccessToken",
      "credential_source": {
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
      }
    }
  JSON
}

run "takes_the_ends_of_every_range" {
  command = plan

  variables {
    kpi_to_bigquery = { schedules = {}, project = "a-kpis", dataset = "KPIs_2", location = "EU", archive_days = 1 }
  }

  assert {
    condition     = var.kpi_to_bigquery.archive_days == 1 && var.google_credentials != null
    error_message = "They are taken."
  }
}

run "takes_a_longer_project_and_no_credentials_yet" {
  command = plan

  variables {
    kpi_to_bigquery    = merge(var.kpi_to_bigquery, { project = format("a%029d", 0), location = "europe-west12" })
    google_credentials = null
  }

  assert {
    condition     = var.kpi_to_bigquery.tls_only && var.kpi_to_bigquery.archive_days == null
    error_message = "They are taken."
  }
}

run "refuses_a_project_by_its_number" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { project = "123456789012" })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_a_project_of_31_characters" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { project = format("a%030d", 0) })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_a_dataset_with_its_project" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { dataset = "example-kpis.kpis" })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_a_zone_for_a_location" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { location = "asia-northeast1-a" })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_a_city_for_a_location" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { location = "Tokyo" })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_an_archive_of_no_day" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { archive_days = 0 })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_an_archive_of_half_a_day" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { archive_days = 0.5 })
  }

  expect_failures = [var.kpi_to_bigquery]
}

run "refuses_a_key_of_a_service_account" {
  command = plan

  variables {
    google_credentials = jsonencode({ type = "service_account", client_email = "mimamori@example-kpis.iam.gserviceaccount.com" })
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_key_beside_the_rest" {
  command = plan

  variables {
    google_credentials = jsonencode(merge(jsondecode(var.google_credentials), { private_key = "-" }))
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_key_in_one_of_the_values" {
  command = plan

  variables {
    google_credentials = jsonencode(merge(jsondecode(var.google_credentials), { note = "-----BEGIN RSA PRIVATE KEY-----" }))
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_file_name" {
  command = plan

  variables {
    google_credentials = "google.json"
  }

  expect_failures = [var.google_credentials]
}

run "refuses_an_audience_that_is_none" {
  command = plan

  variables {
    google_credentials = jsonencode(merge(jsondecode(var.google_credentials), { audience = "//iam.googleapis.com/projects/123456789012" }))
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_pool_of_3_characters" {
  command = plan

  variables {
    google_credentials = replace(var.google_credentials, "Pools/mimamori-aws", "Pools/aws")
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_pool_of_33_characters" {
  command = plan

  variables {
    google_credentials = replace(var.google_credentials, "Pools/mimamori-aws", "Pools/abcdefghijklmnopqrstuvwxyz0123456")
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_pool_of_googles_own" {
  command = plan

  variables {
    google_credentials = replace(var.google_credentials, "Pools/mimamori-aws", "Pools/gcp-aws")
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_provider_of_3_characters" {
  command = plan

  variables {
    google_credentials = replace(var.google_credentials, "providers/mimamori", "providers/aws")
  }

  expect_failures = [var.google_credentials]
}

run "refuses_a_token_url_without_a_path" {
  command = plan

  variables {
    google_credentials = jsonencode(merge(jsondecode(var.google_credentials), { token_url = "https://sts.googleapis.com" }))
  }

  expect_failures = [var.google_credentials]
}

run "refuses_no_service_account" {
  command = plan

  variables {
    google_credentials = jsonencode(merge(jsondecode(var.google_credentials), { service_account_impersonation_url = null }))
  }

  expect_failures = [var.google_credentials]
}

run "refuses_what_was_made_without_aws" {
  command = plan

  variables {
    google_credentials = jsonencode(merge(jsondecode(var.google_credentials), { credential_source = { file = "token" } }))
  }

  expect_failures = [var.google_credentials]
}

run "refuses_to_try_again_at_once" {
  command = plan

  variables {
    kpi_to_bigquery = merge(var.kpi_to_bigquery, { retry_seconds = 0 })
  }

  expect_failures = [var.kpi_to_bigquery]
}
