"""What the plans would make of the exports, besides what holds for every function."""

import json
import re
from typing import Any

import pytest

# Account 000000000000 is the emulator's, which makes every plan here.
ARN = "arn:aws:{service}:ap-northeast-1:000000000000:{resource}"
TIMEOUTS = {"data_export": 900, "export_mail": 30}
# Files and queues of their own: test_kpi_plans has them.
# Others that have a table, or a queue, of their own.
OTHERS = {
    "dynamodb": {"env_scheduler", "phone_call", "phone_callback", "phone_sweep"},
    "sqs": {"phone_call", "phone_sweep"},
}
KPIS = ("kpi_to_s3", "s3_to_bigquery")
OBJECTS = "arn:aws:s3:::mimamori-{environment}-exports-000000000000/exports/*"


def _given(plan: Any) -> dict[str, Any]:
    return plan.json["variables"]["data_export"]["value"]


def _one(plan: Any, kind: str, name: str) -> dict[str, Any]:
    return plan.resources(kind)[f"{kind}.{name}"]


def _of_queue(plan: Any, name: str) -> dict[str, Any]:
    return plan.resources("aws_sqs_queue")[f"module.export_queue.aws_sqs_queue.{name}"]


def _of_bucket(plan: Any, kind: str) -> dict[str, Any]:
    [found] = plan.resources(kind, within="module.export_bucket.").values()
    return found


def _queue(plan: Any, name: str) -> str:
    return ARN.format(service="sqs", resource=f"mimamori-{plan.environment}-{name}")


def _table(plan: Any) -> str:
    return ARN.format(service="dynamodb", resource=f"table/mimamori-{plan.environment}-data_export")


def _environment(plan: Any, function: str) -> dict[str, str]:
    return plan.json["output_changes"]["functions"]["after"][function]["environment"]


@pytest.mark.parametrize(
    ("service", "allowed"),
    [
        (
            "dynamodb",
            {
                "data_export": {"table": {"GetItem", "PutItem", "UpdateItem"}},
                "export_mail": {
                    "table": {"GetItem", "PutItem", "UpdateItem"},
                    "stream": {"DescribeStream", "GetRecords", "GetShardIterator"},
                    "any": {"ListStreams"},
                },
                "export_link": {"table": {"GetItem"}},
            },
        ),
        (
            "s3",
            {
                "data_export": {
                    "objects": {
                        "AbortMultipartUpload",
                        "GetObject",
                        "ListMultipartUploadParts",
                        "PutObject",
                    }
                },
                "export_mail": {"objects": {"AbortMultipartUpload"}},
                "export_link": {"objects": {"GetObject"}},
            },
        ),
        (
            "sqs",
            {
                "data_export": {
                    "jobs": {
                        "ChangeMessageVisibility",
                        "DeleteMessage",
                        "GetQueueAttributes",
                        "ReceiveMessage",
                        "SendMessage",
                    }
                },
                "export_mail": {
                    "dead": {"DeleteMessage", "GetQueueAttributes", "ReceiveMessage"},
                    "unmailed": {"SendMessage"},
                    "mails": {
                        "ChangeMessageVisibility",
                        "DeleteMessage",
                        "GetQueueAttributes",
                        "ReceiveMessage",
                        "SendMessage",
                    },
                },
            },
        ),
        ("ses", {"export_mail": {"any": {"SendEmail"}}}),
    ],
    ids=["dynamodb", "s3", "sqs", "ses"],
)
def test_each_function_may_do_what_it_does(
    plan: Any, service: str, allowed: dict[str, dict[str, set[str]]]
) -> None:
    arns = {
        "any": "*",
        "table": _table(plan),
        "stream": f"{_table(plan)}/stream/*",
        "objects": OBJECTS.format(environment=plan.environment),
        "jobs": _queue(plan, "exports"),
        "dead": _queue(plan, "exports-dead"),
        "unmailed": _queue(plan, "exports-unmailed"),
        "mails": _queue(plan, "exports-mails"),
    }
    for function in plan.functions():
        if function in OTHERS.get(service, ()) or function in KPIS:
            continue
        assert plan.allowed(function, service) == {
            (f"{service}:{action}", arns[resource])
            for resource, actions in allowed.get(function, {}).items()
            for action in actions
        }, function


def test_mails_come_from_one_address(plan: Any) -> None:
    [sends] = [s for s in plan.statements("export_mail") if "ses:SendEmail" in s["Action"]]
    sender = _given(plan)["mail_from"]
    assert sends["Condition"] == {"StringEqualsIfExists": {"ses:FromAddress": sender}}
    assert _environment(plan, "export_mail")["MAIL_FROM"] == sender
    identities = plan.resources("aws_sesv2_email_identity").values()
    wanted = [sender] if _given(plan).get("mail_identity", True) else []
    assert [one["email_identity"] for one in identities] == wanted


def test_a_message_waits_for_six_times_as_long_as_a_run_may_take(plan: Any) -> None:
    contracts = plan.json["output_changes"]["functions"]["after"]
    for function, queue in (("data_export", "this"), ("export_mail", "dead")):
        timeout = contracts[function]["timeout"]
        assert timeout == TIMEOUTS[function]
        assert _of_queue(plan, queue)["visibility_timeout_seconds"] == 6 * timeout


def test_the_queues(plan: Any) -> None:
    main, dead = (_of_queue(plan, one) for one in ("this", "dead"))
    unmailed = _one(plan, "aws_sqs_queue", "exports_unmailed")
    prefix = f"mimamori-{plan.environment}-exports"
    names = [main["name"], dead["name"], unmailed["name"]]
    assert names == [prefix, f"{prefix}-dead", f"{prefix}-unmailed"]
    assert all(one["sqs_managed_sse_enabled"] for one in (main, dead, unmailed))
    for one in (dead, unmailed):
        assert one["message_retention_seconds"] == 14 * 24 * 60 * 60
    references = plan.references("aws_sqs_queue", "redrive_policy")
    assert "aws_sqs_queue.dead.arn" in references["module.export_queue.aws_sqs_queue.this"]
    assert json.loads(dead["redrive_allow_policy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [_queue(plan, "exports")],
    }


def test_a_mail_is_tried_again_for_six_hours(plan: Any) -> None:
    queues = plan.resources("aws_sqs_queue", within="module.export_mails_queue.")
    main, dead = (queues[f"module.export_mails_queue.aws_sqs_queue.{n}"] for n in ("this", "dead"))
    name = f"mimamori-{plan.environment}-exports-mails"
    assert (main["name"], dead["name"]) == (name, f"{name}-dead")
    assert main["visibility_timeout_seconds"] == 6 * TIMEOUTS["export_mail"]
    told = _environment(plan, "export_mail")
    first, times = int(told["RETRY_SECONDS"]), int(told["RECEIVES"])
    pauses = [min(first * 2**n, 3600) for n in range(times)]
    assert 6 * 3600 <= sum(pauses) < 7 * 3600


def test_two_jobs_at_once_and_room_for_them(plan: Any) -> None:
    mapping = _one(plan, "aws_lambda_event_source_mapping", "exports")
    assert mapping["scaling_config"] == [{"maximum_concurrency": 2}]
    functions = plan.resources("aws_lambda_function")
    reserved = {
        address.split(".")[1]: one["reserved_concurrent_executions"]
        for address, one in functions.items()
    }
    wanted = _given(plan).get("reserved_concurrency", 3)
    assert reserved == dict.fromkeys(plan.functions(), -1) | {"data_export": wanted}
    assert wanted == -1 or wanted >= 2


def test_what_leads_where(plan: Any) -> None:
    sources = plan.references("aws_lambda_event_source_mapping", "event_source_arn")
    wanted = {
        "exports": "module.export_queue.arn",
        "exports_dead": "module.export_queue.dead_arn",
        "export_mails": "module.export_mails_queue.arn",
        "export_mail": "aws_dynamodb_table.data_export.stream_arn",
    }
    for name, source in wanted.items():
        assert source in sources[f"aws_lambda_event_source_mapping.{name}"]
        mapping = _one(plan, "aws_lambda_event_source_mapping", name)
        assert mapping["batch_size"] == 1
        # What a queue's function could not do, it says by name.
        reports = ["ReportBatchItemFailures"] if "queue" in source else None
        assert mapping["function_response_types"] == reports


def test_the_stream_brings_mails_that_are_due_and_gives_up_after_hours(plan: Any) -> None:
    mapping = _one(plan, "aws_lambda_event_source_mapping", "export_mail")
    [[pattern]] = [one["filter"] for one in mapping["filter_criteria"]]
    assert json.loads(pattern["pattern"]) == {"dynamodb": {"NewImage": {"mail": {"S": ["due"]}}}}
    assert (mapping["starting_position"], mapping["parallelization_factor"]) == ("TRIM_HORIZON", 10)
    assert mapping["maximum_retry_attempts"] == -1
    assert mapping["maximum_record_age_in_seconds"] == 6 * 60 * 60
    [destination] = mapping["destination_config"]
    assert destination.keys() <= {"on_failure"}


def test_the_table(plan: Any) -> None:
    table = _one(plan, "aws_dynamodb_table", "data_export")
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert (table["hash_key"], table["stream_view_type"]) == ("job_id", "NEW_IMAGE")
    assert (table["ttl"][0]["attribute_name"], table["ttl"][0]["enabled"]) == ("expires_at", True)
    assert table["server_side_encryption"][0]["enabled"] is True
    assert table["point_in_time_recovery"][0]["enabled"] is True


def test_the_bucket_is_closed_and_encrypted(plan: Any) -> None:
    bucket = _of_bucket(plan, "aws_s3_bucket")
    assert bucket["bucket"] == f"mimamori-{plan.environment}-exports-000000000000"
    assert bucket["force_destroy"] is False
    block = _of_bucket(plan, "aws_s3_bucket_public_access_block")
    ways = ("block_public_acls", "block_public_policy", "ignore_public_acls")
    assert all(block[way] for way in (*ways, "restrict_public_buckets"))
    [rule] = _of_bucket(plan, "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "AES256"
    [rule] = _of_bucket(plan, "aws_s3_bucket_ownership_controls")["rule"]
    assert rule["object_ownership"] == "BucketOwnerEnforced"


def test_the_bucket_refuses_plain_http_but_on_the_laptop(plan: Any) -> None:
    policies = plan.resources("aws_s3_bucket_policy", within="module.export_bucket.")
    if plan.environment == "local":
        assert not policies
        return
    assert _given(plan).get("tls_only", True) is True
    [policy] = policies.values()
    [statement] = json.loads(policy["policy"])["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    bucket = f"arn:aws:s3:::mimamori-{plan.environment}-exports-000000000000"
    assert set(statement["Resource"]) == {bucket, f"{bucket}/*"}


def test_files_go_the_day_after_their_links(plan: Any) -> None:
    rules = _of_bucket(plan, "aws_s3_bucket_lifecycle_configuration")["rule"]
    by_id = {rule["id"]: rule for rule in rules}
    assert all(rule["status"] == "Enabled" for rule in rules)
    ends, given_up = by_id["files-end"], by_id["uploads-given-up"]
    assert ends["filter"][0]["prefix"] == "exports/"
    days = _given(plan).get("link_days", 7)
    assert ends["expiration"][0]["days"] == days + 1
    assert given_up["abort_incomplete_multipart_upload"][0]["days_after_initiation"] == 2
    assert _environment(plan, "data_export")["LINK_DAYS"] == str(days)


def test_a_job_may_go_on_for_as_many_runs_as_it_takes(plan: Any) -> None:
    [one] = plan.resources("aws_lambda_function_recursion_config").values()
    assert one["function_name"] == f"mimamori-{plan.environment}-data_export"
    assert one["recursive_loop"] == "Allow"


def test_the_link_is_open_and_held_back(plan: Any) -> None:
    api = "module.export_api."
    assert plan.places("export_api") == {"/exports", "/exports/{job}", "/exports/{job}/{token}"}
    [method] = plan.resources("aws_api_gateway_method", within=api).values()
    assert (method["http_method"], method["api_key_required"]) == ("GET", False)
    assert method["request_parameters"] == {
        "method.request.path.job": True,
        "method.request.path.token": True,
    }
    [settings] = plan.resources("aws_api_gateway_method_settings", within=api).values()
    assert settings["method_path"] == "*/*"
    assert 0 < settings["settings"][0]["throttling_rate_limit"] <= 50
    [stage] = plan.resources("aws_api_gateway_stage", within=api).values()
    [logs] = stage["access_log_settings"]
    assert json.loads(logs["format"])["route"] == "$context.httpMethod $context.resourcePath"
    assert not re.search(r"\$context\.(path|protocol|requestOverride)|query|header", logs["format"])


def test_an_application_may_send_jobs_and_no_more(plan: Any) -> None:
    output = plan.json["output_changes"]["data_export"]
    known = output["after"].keys() | output["after_unknown"].keys()
    assert known == {
        "base_url",
        "bucket",
        "dead_letter_queue_url",
        "queue_arn",
        "queue_url",
        "sender_policy_json",
        "table",
    }
    [statement] = json.loads(output["after"]["sender_policy_json"])["Statement"]
    assert (statement["Action"], statement["Resource"]) == (
        "sqs:SendMessage",
        _queue(plan, "exports"),
    )
