"""What the first plan of each environment would make, as rendered."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

QUERIES = Path(__file__).resolve().parents[2] / "functions/db_to_cloudwatch/queries"

NO_RESOURCE = r"\*"
OWN_LOG_STREAMS = r"arn:aws:logs:[a-z0-9-]+:\d{12}:log-group:/aws/lambda/{function}:\*"
INTERFACES = r"arn:aws:ec2:[a-z0-9-]+:\d{12}:\*/\*"
# The only resources with a `*` in them, by action; for all others an exact ARN can stand.
NOT_EXACT = {
    "cloudwatch:GetMetricData": NO_RESOURCE,  # the API takes none
    "cloudwatch:GetMetricWidgetImage": NO_RESOURCE,  # the API takes none
    "cloudwatch:PutMetricData": NO_RESOURCE,  # the API takes none: held to its namespace
    "ec2:AssignPrivateIpAddresses": INTERFACES,  # for Lambda itself; their ids come later
    "ec2:CreateNetworkInterface": INTERFACES,
    "ec2:DeleteNetworkInterface": INTERFACES,
    "ec2:DescribeNetworkInterfaces": NO_RESOURCE,  # for Lambda itself; the API takes none
    "ec2:DescribeSubnets": NO_RESOURCE,
    "ec2:UnassignPrivateIpAddresses": INTERFACES,
    "logs:CreateLogStream": OWN_LOG_STREAMS,  # the streams of its own group
    "logs:PutLogEvents": OWN_LOG_STREAMS,
}

DATABASE = {"HOST", "PORT", "NAME", "USER", "PASSWORD", "CA"}
COGNITO = {"AWS_COGNITO_USER_POOL_ID", "AWS_COGNITO_CLIENT_ID"}
READABLE = {
    "cloudwatch_to_mackerel": {"MACKEREL_API_KEY", *COGNITO},
    "cloudwatch_to_slack": {"SLACK_BOT_TOKEN", *COGNITO},
    "db_to_cloudwatch": {f"DATABASE_{name}" for name in DATABASE},
}


def test_it_makes_every_function(plan: Any) -> None:
    names = {
        f"mimamori-{plan.environment}-{function}": f"module.{function}.aws_lambda_function.this"
        for function in READABLE
    }
    made = plan.resources("aws_lambda_function")
    assert {one["function_name"]: address for address, one in made.items()} == names
    output = plan.json["output_changes"]["functions"]
    for function in READABLE:
        known, unknown = output["after"][function], output["after_unknown"][function]
        assert known.keys() | unknown.keys() == {
            "environment",
            "log_group",
            "name",
            "role_arn",
            "vpc",
        }
        assert known["environment"] == {"PARAMETER_PATH": f"/{plan.environment}/myApp"}


def test_resources_are_exact(plan: Any) -> None:
    for function in plan.functions():
        for statement in plan.statements(function):
            if statement["Effect"] == "Deny":
                continue
            assert "NotAction" not in statement
            assert "NotResource" not in statement
            for action in statement["Action"]:
                assert "*" not in action, (function, action)
                allowed = NOT_EXACT.get(action, r"arn:[^*]+").replace(
                    "{function}", f"mimamori-{plan.environment}-{function}"
                )
                for resource in statement["Resource"]:
                    assert re.fullmatch(allowed, resource), (function, action, resource)


def test_a_function_reads_only_the_parameters_it_names(plan: Any) -> None:
    for function, names in READABLE.items():
        readable = [
            (action, resource.split(":parameter")[1])
            for statement in plan.statements(function)
            for action in statement["Action"]
            for resource in statement["Resource"]
            if action.startswith("ssm:")
        ]
        assert sorted(readable) == sorted(
            ("ssm:GetParameter", f"/{plan.environment}/myApp/{name}") for name in names
        )


def test_every_readable_parameter_is_made_once(plan: Any) -> None:
    made = [one["name"] for one in plan.resources("aws_ssm_parameter").values()]
    assert sorted(made) == sorted(
        f"/{plan.environment}/myApp/{name}" for name in set().union(*READABLE.values())
    )


def test_metrics_are_put_into_the_namespaces_of_the_queries(plan: Any) -> None:
    headers = [
        tomllib.loads(file.read_text().split("/*", 1)[1].split("*/", 1)[0])
        for file in QUERIES.glob("*.sql")
    ]
    namespaces = {header["namespace"] for header in headers}
    puts = [
        (function, statement["Condition"])
        for function in plan.functions()
        for statement in plan.statements(function)
        if "cloudwatch:PutMetricData" in statement["Action"]
    ]
    assert [function for function, _ in puts] == ["db_to_cloudwatch"]
    [(test, condition)] = puts[0][1].items()
    assert test in {"StringEquals", "StringEqualsIfExists"}
    values = condition["cloudwatch:namespace"]
    assert {values} if isinstance(values, str) else set(values) == namespaces
    assert namespaces


def test_rights_to_network_interfaces_come_with_a_vpc_only(plan: Any) -> None:
    for function in plan.functions():
        in_vpc = plan.vpc(function) is not None
        assert in_vpc == (function == "db_to_cloudwatch")
        ec2 = {
            effect: {
                action
                for statement in plan.statements(function)
                if statement["Effect"] == effect
                for action in statement["Action"]
                if action.startswith("ec2:")
            }
            for effect in ("Allow", "Deny")
        }
        assert bool(ec2["Allow"]) == in_vpc
        assert ec2["Deny"] == ec2["Allow"]  # what Lambda may, the function's own code may not


def test_only_lambda_takes_the_roles(plan: Any) -> None:
    for role in plan.resources("aws_iam_role").values():
        [statement] = json.loads(role["assume_role_policy"])["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_no_policy_is_hung_on_a_role_besides_the_tested_ones(plan: Any) -> None:
    kinds = {change["type"] for change in plan.json["resource_changes"]}
    assert not kinds & {"aws_iam_policy", "aws_iam_role_policy_attachment", "aws_iam_user"}
    assert len(plan.resources("aws_iam_role_policy")) == len(READABLE)


def test_every_trigger_names_the_alias(plan: Any) -> None:
    targets = plan.references("aws_cloudwatch_event_target", "arn")
    assert targets
    for address, references in targets.items():
        assert "aws_lambda_alias.current.arn" in references, address
    permissions = plan.resources("aws_lambda_permission")
    assert len(permissions) == len(plan.resources("aws_cloudwatch_event_target"))
    for address, permission in permissions.items():
        assert permission["qualifier"] == "current", address
        assert permission["principal"] == "events.amazonaws.com", address
    for address, references in plan.references("aws_lambda_permission", "source_arn").items():
        assert any(one.startswith("aws_cloudwatch_event_rule.this") for one in references), address
    settings = plan.resources("aws_lambda_function_event_invoke_config").values()
    assert [setting["qualifier"] for setting in settings] == ["current"] * len(READABLE)


def test_every_function_has_a_schedule_with_its_payload(plan: Any) -> None:
    inputs = {
        address.split(".")[1]: json.loads(target["input"])
        for address, target in plan.resources("aws_cloudwatch_event_target").items()
    }
    assert inputs["db_to_cloudwatch"] == {}
    payload = inputs["cloudwatch_to_mackerel"]
    assert (payload["environment"], payload["path_to_parameter"]) == (plan.environment, "/myApp")


def test_a_schedule_says_its_cron_in_local_time(plan: Any) -> None:
    for address, rule in plan.resources("aws_cloudwatch_event_rule").items():
        said = re.match(r"(\d\d):(\d\d) in Tokyo", rule["description"])
        cron = re.match(r"cron\((\d+) (\d+) ", rule["schedule_expression"])
        assert bool(said) == bool(cron), address
        if said and cron:
            utc = 60 * int(cron[2]) + int(cron[1])
            assert 60 * int(said[1]) + int(said[2]) == (utc + 9 * 60) % (24 * 60), address


def test_logs_are_not_kept_for_ever(plan: Any) -> None:
    groups = plan.resources("aws_cloudwatch_log_group").values()
    assert {group["name"] for group in groups} == {
        f"/aws/lambda/mimamori-{plan.environment}-{function}" for function in READABLE
    }
    assert all(group["retention_in_days"] > 0 for group in groups)


def test_no_secret_is_in_the_plan(plan: Any) -> None:
    secret = [
        one for one in plan.resources("aws_ssm_parameter").values() if one["type"] != "String"
    ]
    assert {one["name"].rsplit("/", 1)[1] for one in secret} == {
        "MACKEREL_API_KEY",
        "SLACK_BOT_TOKEN",
        "DATABASE_PASSWORD",
    }
    for one in secret:
        assert one["type"] == "SecureString"
        assert [one.get(key) for key in ("value", "insecure_value", "value_wo")] == [None] * 3
    given = json.dumps(plan.json["variables"]).lower()
    assert not re.search(r"password|secret|api_?key|token|private key", given)


def test_functions_in_the_vpc_go_nowhere_but_to_aws_and_the_database(plan: Any) -> None:
    ways = plan.resources("aws_vpc_security_group_egress_rule") | plan.resources(
        "aws_vpc_security_group_ingress_rule"
    )
    database_port = plan.json["variables"]["database"]["value"]["port"]
    blocks = set(plan.json["variables"].get("https_egress_cidr_blocks", {}).get("value") or [])
    assert all(way["ip_protocol"] == "tcp" for way in ways.values())
    assert all(way["from_port"] == way["to_port"] for way in ways.values())
    assert {way["to_port"] for way in ways.values()} == {443, database_port}
    assert {way["cidr_ipv4"] for way in ways.values() if way["cidr_ipv4"]} == blocks
    for group in plan.resources("aws_security_group").values():
        assert not group.get("ingress")
        assert not group.get("egress")
    endpoints = plan.resources("aws_vpc_endpoint")
    if plan.environment == "local":
        assert not endpoints
    else:
        assert not blocks
        assert {one["service_name"] for one in endpoints.values()} == {
            "com.amazonaws.ap-northeast-1.monitoring",
            "com.amazonaws.ap-northeast-1.ssm",
        }
        assert all(one["private_dns_enabled"] for one in endpoints.values())


def test_everything_carries_project_and_environment(plan: Any) -> None:
    tagged = [
        change["change"]["after"]
        for change in plan.json["resource_changes"]
        if change["mode"] == "managed" and "tags_all" in change["change"]["after"]
    ]
    assert tagged
    for one in tagged:
        assert {"project": "mimamori", "environment": plan.environment}.items() <= one[
            "tags_all"
        ].items()
