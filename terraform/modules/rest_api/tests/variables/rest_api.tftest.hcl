# Runs on variables.tf alone: what is refused needs no provider.

run "refuses_a_name_with_capitals_and_a_prefix_that_runs_into_it_and_a_stage_with_a_hyphen" {
  command = plan

  variables {
    name    = "Sample"
    context = merge(var.context, { prefix = "mimamori" })
    stage   = "v-1"
  }

  expect_failures = [var.name, var.context, var.stage]
}

run "refuses_an_account_that_is_none_and_an_address_with_a_slash_at_its_end" {
  command = plan

  variables {
    context  = merge(var.context, { account_id = "123" })
    base_url = "https://api.example.com/"
  }

  expect_failures = [var.context, var.base_url]
}

run "refuses_no_routes" {
  command = plan

  variables {
    functions = {}
    routes    = {}
  }

  expect_failures = [var.routes]
}

run "refuses_a_name_of_a_route_that_no_statement_can_have" {
  command = plan

  variables {
    routes = { for name, route in var.routes : "${name} it" => route }
  }

  expect_failures = [var.routes]
}

run "refuses_any_method" {
  command = plan

  variables {
    routes = { for name, route in var.routes : name => merge(route, { method = "ANY" }) }
  }

  expect_failures = [var.routes]
}

run "refuses_four_parts" {
  command = plan

  variables {
    routes = merge(var.routes, { look = merge(var.routes.look, { path = "samples/{id}/{part}/more" }) })
  }

  expect_failures = [var.routes]
}

run "refuses_a_slash_at_the_beginning" {
  command = plan

  variables {
    routes = merge(var.routes, { look = merge(var.routes.look, { path = "/samples" }) })
  }

  expect_failures = [var.routes]
}

run "refuses_two_of_one_method_and_path" {
  command = plan

  variables {
    routes = merge(var.routes, { again = var.routes.look })
  }

  expect_failures = [var.routes]
}

run "refuses_two_names_at_one_place" {
  command = plan

  variables {
    routes = merge(var.routes, { look = merge(var.routes.look, { path = "samples/{other}/{part}" }) })
  }

  expect_failures = [var.routes]
}

run "refuses_half_a_request_at_once" {
  command = plan

  variables {
    throttle = { rate_limit = 1, burst_limit = 0.5 }
  }

  expect_failures = [var.throttle]
}

run "refuses_a_function_that_answers_nothing" {
  command = plan

  variables {
    functions = merge(var.functions, { third = "mimamori-staging-third" })
  }

  expect_failures = [var.functions]
}

run "refuses_a_route_without_its_function" {
  command = plan

  variables {
    functions = { sample = "mimamori-staging-sample" }
  }

  expect_failures = [var.functions]
}
