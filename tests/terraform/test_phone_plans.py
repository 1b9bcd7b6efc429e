"""What the plans would make of the phone escalation, besides what holds for every function."""

import json
import re
from typing import Any

ENV_TYPES = {"local": "production", "staging": "verification", "production": "production"}
TABLE = "arn:aws:dynamodb:ap-northeast-1:{account}:table/mimamori-{environment}-phone_escalation"


FUNCTIONS = {"phone_call", "phone_callback", "phone_sweep"}


def _only(plan: Any, kind: str, within: str = "") -> dict[str, Any]:
    [one] = plan.resources(kind, within).values()
    return one


def test_each_function_may_do_with_the_table_what_it_does(plan: Any) -> None:
    # Account 000000000000 is the emulator's, which makes every plan here.
    table = TABLE.format(account="000000000000", environment=plan.environment)
    stream = f"{table}/stream/*"
    allowed = {
        "phone_call": {("GetItem", table), ("PutItem", table), ("UpdateItem", table)},
        "phone_callback": {
            ("GetItem", table),
            ("UpdateItem", table),
            ("DescribeStream", stream),
            ("GetRecords", stream),
            ("GetShardIterator", stream),
            ("ListStreams", "*"),
        },
        "phone_sweep": {("GetItem", table), ("UpdateItem", table), ("Query", f"{table}/index/due")},
    }
    for function in FUNCTIONS:
        assert {
            (action.removeprefix("dynamodb:"), resource)
            for statement in plan.statements(function)
            for action in statement["Action"]
            for resource in statement["Resource"]
            if action.startswith("dynamodb:")
        } == allowed[function], function


def test_the_table(plan: Any) -> None:
    table = _only(plan, "aws_dynamodb_table", "aws_dynamodb_table.phone_escalation")
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert (table["hash_key"], table["stream_view_type"]) == ("token", "NEW_IMAGE")
    assert (table["ttl"][0]["attribute_name"], table["ttl"][0]["enabled"]) == ("expires_at", True)
    assert table["server_side_encryption"][0]["enabled"] is True
    assert table["point_in_time_recovery"][0]["enabled"] is True
    [index] = table["global_secondary_index"]
    assert [index[key] for key in ("name", "hash_key", "range_key", "projection_type")] == [
        "due",
        "sweep",
        "due_at",
        "KEYS_ONLY",
    ]


def test_the_stream_brings_what_is_to_be_done_now_one_by_one(plan: Any) -> None:
    mapping = _only(
        plan, "aws_lambda_event_source_mapping", "aws_lambda_event_source_mapping.phone_callback"
    )
    [[pattern]] = [one["filter"] for one in mapping["filter_criteria"]]
    assert json.loads(pattern["pattern"]) == {"dynamodb": {"NewImage": {"act": {"S": ["now"]}}}}
    assert (mapping["batch_size"], mapping["starting_position"]) == (1, "TRIM_HORIZON")
    assert (mapping["maximum_retry_attempts"], mapping["maximum_record_age_in_seconds"]) == (2, 60)


def test_what_must_not_be_lost_is_repeated(plan: Any) -> None:
    settings = plan.resources("aws_lambda_function_event_invoke_config")
    assert {
        address.split(".")[1]: one["maximum_retry_attempts"] for address, one in settings.items()
    } == dict.fromkeys(plan.functions(), 0) | {"kpi_to_s3": 2, "phone_call": 2}


def test_what_lambda_gives_up_is_looked_at_by_the_sweep(plan: Any) -> None:
    queue = f"arn:aws:sqs:ap-northeast-1:000000000000:mimamori-{plan.environment}-phone-failed"
    function = "arn:aws:lambda:ap-northeast-1:000000000000:function"
    entrance = f"{function}:mimamori-{plan.environment}-phone_call:current"
    settings = plan.resources("aws_lambda_function_event_invoke_config")
    assert {
        address.split(".")[1] for address, one in settings.items() if one["destination_config"]
    } == {"phone_call"}

    def allowed(name: str) -> set[tuple[str, str]]:
        return {
            (action, resource)
            for statement in plan.statements(name)
            for action in statement["Action"]
            for resource in statement["Resource"]
            if action.startswith(("sqs:", "lambda:"))
        }

    assert allowed("phone_call") == {("sqs:SendMessage", queue)}
    assert allowed("phone_sweep") == {
        ("sqs:ReceiveMessage", queue),
        ("sqs:DeleteMessage", queue),
        ("lambda:InvokeFunction", entrance),
    }


def test_a_rehearsal_is_told_from_the_real_thing(plan: Any) -> None:
    env_type = ENV_TYPES[plan.environment]
    stage = _only(plan, "aws_api_gateway_stage", "module.phone_api.")
    assert stage["variables"] == {"env_type": env_type}
    environment = plan.json["output_changes"]["functions"]["after"]["phone_call"]["environment"]
    assert environment["ENV_TYPE"] == env_type


def test_the_access_log_never_holds_a_token(plan: Any) -> None:
    [settings] = _only(plan, "aws_api_gateway_stage", "module.phone_api.")["access_log_settings"]
    logged = json.loads(settings["format"])
    assert {"request_id", "ip", "api_key_id", "route", "status", "latency_ms"} < logged.keys()
    assert (
        logged["route"] == "$context.httpMethod $context.resourcePath"
    )  # {groupId}, not its value
    assert not re.search(r"\$context\.(path|protocol|requestOverride)|query|header", str(logged))


def test_every_caller_has_a_key_with_limits_of_its_own(plan: Any) -> None:
    callers = plan.json["variables"]["phone_escalation"]["value"]["callers"]
    names = {name: f"mimamori-{plan.environment}-phonecall-{name}" for name in callers}
    assert callers.keys() == {"zabbix", "efk"}
    for kind in ("aws_api_gateway_api_key", "aws_api_gateway_usage_plan"):
        assert {one["name"] for one in plan.resources(kind).values()} == set(names.values())
    plans = plan.resources("aws_api_gateway_usage_plan")
    for name, caller in callers.items():
        limits = plans[f'aws_api_gateway_usage_plan.caller["{name}"]']
        [throttle], [quota] = limits["throttle_settings"], limits["quota_settings"]
        assert throttle["rate_limit"] == caller["rate_limit"]
        assert throttle["burst_limit"] == caller["burst_limit"]
        assert (quota["limit"], quota["period"]) == (caller["quota_per_day"], "DAY")
    assert len(plan.resources("aws_api_gateway_usage_plan_key")) == len(callers)


def test_the_open_route_has_a_limit_too(plan: Any) -> None:
    settings = _only(plan, "aws_api_gateway_method_settings", "module.phone_api.")
    assert settings["method_path"] == "*/*"
    assert settings["settings"][0]["throttling_rate_limit"] > 0
    assert settings["settings"][0]["throttling_burst_limit"] > 0


def test_alarms_of_this_account_call_the_group_of_their_topic(plan: Any) -> None:
    topics = plan.json["variables"]["phone_escalation"]["value"]["alarm_topics"]
    made = {one["name"] for one in plan.resources("aws_sns_topic").values()}
    environment = plan.json["output_changes"]["functions"]["after"]["phone_call"]["environment"]
    prefix = f"mimamori-{plan.environment}-phone-"
    groups = {f"{prefix}{name}": topic["group_id"] for name, topic in topics.items()}
    assert json.loads(environment["ALARM_GROUPS"]) == groups == {f"{prefix}database": "database"}
    assert made == set(groups)
    for policy in plan.resources("aws_sns_topic_policy").values():
        [statement] = json.loads(policy["policy"])["Statement"]
        assert statement["Action"] == "sns:Publish"
        assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert statement["Resource"].rsplit(":", 1)[1] in made
        assert statement["Condition"].keys() == {"StringEquals"}
        assert re.fullmatch(r"\d{12}", statement["Condition"]["StringEquals"]["aws:SourceAccount"])
