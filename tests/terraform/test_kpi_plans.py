"""What the plans would make of the KPIs, besides what holds for every function."""

import json
from typing import Any

# Account 000000000000 is the emulator's, which makes every plan here.
BUCKET = "arn:aws:s3:::mimamori-{environment}-kpis-000000000000"
QUEUE = "arn:aws:sqs:ap-northeast-1:000000000000:mimamori-{environment}-kpis"
# What `gcloud iam workload-identity-pools create-cred-config … --aws` writes; none of it is secret.
PUBLIC = {
    "audience",
    "credential_source",
    "service_account_impersonation_url",
    "subject_token_type",
    "token_url",
    "type",
    "universe_domain",
}


def _given(plan: Any) -> dict[str, Any]:
    return plan.json["variables"]["kpi_to_bigquery"]["value"]


def _of_bucket(plan: Any, kind: str) -> dict[str, Any]:
    [found] = plan.resources(kind, within="module.kpi_bucket.").values()
    return found


def _rules(plan: Any) -> dict[str, dict[str, Any]]:
    rules = _of_bucket(plan, "aws_s3_bucket_lifecycle_configuration")["rule"]
    return {rule["id"]: rule for rule in rules}


def test_each_function_may_do_what_it_does(plan: Any) -> None:
    bucket = BUCKET.format(environment=plan.environment)
    queue = QUEUE.format(environment=plan.environment)
    files = f"{bucket}/kpi/*"
    assert plan.allowed("kpi_to_s3", "s3") == {
        ("s3:AbortMultipartUpload", files),
        ("s3:PutObject", files),
        ("s3:PutObjectTagging", files),
    }
    assert plan.allowed("s3_to_bigquery", "s3") == {
        ("s3:GetObject", files),
        ("s3:GetObjectTagging", files),
        ("s3:ListBucket", bucket),
    }
    assert plan.allowed("kpi_to_s3", "sqs") == set()
    assert plan.allowed("s3_to_bigquery", "sqs") == {
        ("sqs:DeleteMessage", queue),
        ("sqs:GetQueueAttributes", queue),
        ("sqs:ChangeMessageVisibility", queue),
        ("sqs:ReceiveMessage", queue),
    }
    # That a role is itself takes no right.
    for function in ("kpi_to_s3", "s3_to_bigquery"):
        for service in ("sts", "iam", "dynamodb", "ses", "kms"):
            assert plan.allowed(function, service) == set()


def test_where_a_file_goes_is_said(plan: Any) -> None:
    functions = plan.json["output_changes"]["functions"]["after"]
    bucket = f"mimamori-{plan.environment}-kpis-000000000000"
    path = {"PARAMETER_PATH": f"/{plan.environment}/myApp"}
    assert functions["kpi_to_s3"]["environment"] == path | {"KPI_BUCKET": bucket}
    assert functions["s3_to_bigquery"]["environment"] == path | {
        "KPI_BUCKET": bucket,
        "BIGQUERY_PROJECT": _given(plan)["project"],
        "BIGQUERY_DATASET": "kpis",
        "BIGQUERY_LOCATION": "asia-northeast1",
        "RETRY_SECONDS": "2" if plan.environment == "local" else "60",
    }


def test_a_new_file_comes_into_the_queue(plan: Any) -> None:
    notification = plan.resources("aws_s3_bucket_notification")["aws_s3_bucket_notification.kpis"]
    [told] = notification["queue"]
    assert told["events"] == ["s3:ObjectCreated:*"]
    assert (told["filter_prefix"], told["filter_suffix"]) == ("kpi/", ".csv")
    assert not notification["lambda_function"]
    assert not notification["topic"]
    [resource] = [
        one
        for one in plan.json["configuration"]["root_module"]["resources"]
        if one["address"] == "aws_s3_bucket_notification.kpis"
    ]
    # S3 is refused a queue to which it may not send: so it is told when the queue, which has its
    # policy from the start, is made.
    queue = resource["expressions"]["queue"][0]["queue_arn"]["references"]
    assert "module.kpi_queue.arn" in queue
    module = plan.json["configuration"]["root_module"]["module_calls"]["kpi_queue"]["module"]
    assert "aws_sqs_queue.this.arn" in module["outputs"]["arn"]["expression"]["references"]


def test_only_s3_sends_to_the_queue_and_of_this_bucket(plan: Any) -> None:
    queues = plan.resources("aws_sqs_queue", within="module.kpi_queue.")
    [statement] = json.loads(queues["module.kpi_queue.aws_sqs_queue.this"]["policy"])["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == QUEUE.format(environment=plan.environment)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": BUCKET.format(environment=plan.environment)},
        "StringEquals": {"aws:SourceAccount": "000000000000"},
    }


def test_the_queue_and_its_dead_letters(plan: Any) -> None:
    queues = plan.resources("aws_sqs_queue", within="module.kpi_queue.")
    main, dead = (queues[f"module.kpi_queue.aws_sqs_queue.{one}"] for one in ("this", "dead"))
    name = f"mimamori-{plan.environment}-kpis"
    assert (main["name"], dead["name"]) == (name, f"{name}-dead")
    timeout = plan.json["output_changes"]["functions"]["after"]["s3_to_bigquery"]["timeout"]
    assert main["visibility_timeout_seconds"] == 6 * timeout
    assert dead["message_retention_seconds"] == 14 * 24 * 60 * 60
    made = plan.json["configuration"]["root_module"]["module_calls"]["kpi_queue"]
    assert made["expressions"]["receives"] == {"constant_value": 3}


def test_one_file_a_run_and_five_at_once(plan: Any) -> None:
    kind = "aws_lambda_event_source_mapping"
    mapping = plan.resources(kind)[f"{kind}.kpis"]
    assert mapping["batch_size"] == 1
    assert mapping["scaling_config"] == [{"maximum_concurrency": 5}]
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert "module.kpi_queue.arn" in plan.references(kind, "event_source_arn")[f"{kind}.kpis"]


def test_the_archive_is_closed_and_kept(plan: Any) -> None:
    bucket = _of_bucket(plan, "aws_s3_bucket")
    assert (bucket["bucket"], bucket["force_destroy"]) == (
        f"mimamori-{plan.environment}-kpis-000000000000",
        False,
    )
    block = _of_bucket(plan, "aws_s3_bucket_public_access_block")
    assert block["block_public_policy"]
    assert block["restrict_public_buckets"]
    [versioning] = _of_bucket(plan, "aws_s3_bucket_versioning")["versioning_configuration"]
    assert versioning["status"] == "Enabled"
    rules = _rules(plan)
    [replaced] = rules["versions-end"]["noncurrent_version_expiration"]
    assert replaced["noncurrent_days"] == 90
    [given_up] = rules["uploads-given-up"]["abort_incomplete_multipart_upload"]
    assert given_up["days_after_initiation"] == 2
    days = _given(plan).get("archive_days")
    assert ("files-end" in rules) == (days is not None) == (plan.environment == "staging")
    if days:
        [ends] = rules["files-end"]["expiration"]
        assert (ends["days"], rules["files-end"]["filter"][0]["prefix"]) == (days, "kpi/")


def test_the_archive_refuses_plain_http_but_on_the_laptop(plan: Any) -> None:
    policies = plan.resources("aws_s3_bucket_policy", within="module.kpi_bucket.")
    assert bool(policies) == (plan.environment != "local")
    for policy in policies.values():
        [statement] = json.loads(policy["policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_whom_google_trusts_is_no_secret(plan: Any) -> None:
    parameter = plan.resources("aws_ssm_parameter")[
        'module.s3_to_bigquery.module.parameters.aws_ssm_parameter.plain["GOOGLE_CREDENTIALS"]'
    ]
    assert parameter["type"] == "String"
    said = json.loads(parameter["value"])
    assert said == json.loads(plan.json["variables"]["google_credentials"]["value"])
    assert said["type"] == "external_account"
    assert said.keys() <= PUBLIC


def test_what_others_are_told(plan: Any) -> None:
    output = plan.json["output_changes"]["kpi_to_bigquery"]
    assert output["after"]["dataset"] == "kpis"
    assert output["after"]["bucket"] == f"mimamori-{plan.environment}-kpis-000000000000"
    assert output["after"].keys() | output["after_unknown"].keys() == {
        "bucket",
        "dataset",
        "dead_letter_queue_url",
        "queue_url",
        "role_arn",
        "runs",
    }
    assert output["after"]["runs"] == [{"group": "daily"}]
