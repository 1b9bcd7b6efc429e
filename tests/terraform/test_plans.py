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
STREAMS = (
    r"arn:aws:dynamodb:[a-z0-9-]+:\d{12}:"
    r"table/mimamori-[a-z]+-(data_export|phone_escalation)/stream/\*"
)
FILES = r"arn:aws:s3:::mimamori-[a-z]+-(exports-\d{12}/exports|kpis-\d{12}/kpi)/\*"
ACCOUNTS_OWN = r"arn:aws:{service}:[a-z0-9-]+:\d{{12}}:{resource}"


def _tagged(service: str, resource: str) -> str:
    """What sleeps is known by its tag, which the role's condition asks for: of this account."""
    return ACCOUNTS_OWN.format(service=service, resource=resource)


# The only resources with a `*` in them, by action; for all others an exact ARN can stand.
NOT_EXACT = {
    "application-autoscaling:DescribeScalableTargets": NO_RESOURCE,  # the API takes none
    "application-autoscaling:RegisterScalableTarget": _tagged(
        "application-autoscaling", r"scalable-target/\*"
    ),
    "autoscaling:CreateOrUpdateTags": _tagged(
        "autoscaling", r"autoScalingGroup:\*:autoScalingGroupName/\*"
    ),
    "autoscaling:DescribeAutoScalingGroups": NO_RESOURCE,  # the API takes none
    "autoscaling:UpdateAutoScalingGroup": _tagged(
        "autoscaling", r"autoScalingGroup:\*:autoScalingGroupName/\*"
    ),
    "cloudwatch:GetMetricData": NO_RESOURCE,  # the API takes none
    "cloudwatch:GetMetricWidgetImage": NO_RESOURCE,  # the API takes none
    "cloudwatch:PutMetricData": NO_RESOURCE,  # the API takes none: held to its namespace
    "dynamodb:DescribeStream": STREAMS,  # a stream's name comes later
    "dynamodb:GetRecords": STREAMS,
    "dynamodb:GetShardIterator": STREAMS,
    "dynamodb:ListStreams": NO_RESOURCE,  # the API takes none
    "ec2:AssignPrivateIpAddresses": INTERFACES,  # for Lambda itself; their ids come later
    "ec2:CreateNetworkInterface": INTERFACES,
    "ec2:CreateTags": _tagged("ec2", r"instance/\*"),
    "ec2:DeleteNetworkInterface": INTERFACES,
    "ec2:DescribeInstances": NO_RESOURCE,  # the API takes none
    "ec2:DescribeNetworkInterfaces": NO_RESOURCE,  # for Lambda itself; the API takes none
    "ec2:DescribeSpotInstanceRequests": NO_RESOURCE,  # the API takes none
    "ec2:DescribeSubnets": NO_RESOURCE,
    "ec2:StartInstances": _tagged("ec2", r"instance/\*"),
    "ec2:StopInstances": _tagged("ec2", r"instance/\*"),
    "ec2:UnassignPrivateIpAddresses": INTERFACES,
    "ecs:DescribeServices": NO_RESOURCE,  # which there are is what is asked
    "ecs:TagResource": _tagged("ecs", r"service/\*"),
    "ecs:UpdateService": _tagged("ecs", r"(cluster|service)/\*"),
    "logs:CreateLogStream": OWN_LOG_STREAMS,  # the streams of its own group
    "logs:PutLogEvents": OWN_LOG_STREAMS,
    "rds:AddTagsToResource": _tagged("rds", r"(cluster|db):\*"),
    "rds:DescribeDBClusters": NO_RESOURCE,  # which there are is what is asked
    "rds:DescribeDBInstances": NO_RESOURCE,
    "rds:DescribeEvents": NO_RESOURCE,  # the API takes none
    "rds:DescribeGlobalClusters": NO_RESOURCE,
    "rds:StartDBCluster": _tagged("rds", r"cluster:\*"),
    "rds:StartDBInstance": _tagged("rds", r"db:\*"),
    "rds:StopDBCluster": _tagged("rds", r"cluster:\*"),
    "rds:StopDBInstance": _tagged("rds", r"db:\*"),
    "s3:AbortMultipartUpload": FILES,  # a file for each job, and each day
    "s3:GetObject": FILES,
    "s3:GetObjectTagging": FILES,
    "s3:ListMultipartUploadParts": FILES,
    "s3:PutObject": FILES,
    "s3:PutObjectTagging": FILES,
    "ses:SendEmail": NO_RESOURCE,  # held to the sender, whose identity may be the domain's
    "tag:GetResources": NO_RESOURCE,  # the API takes none
}
# The laptop's emulator does not know what is being tagged.
NOT_EXACT_ON_THE_LAPTOP = dict.fromkeys(
    (
        "autoscaling:CreateOrUpdateTags",
        "ec2:CreateTags",
        "ecs:TagResource",
        "rds:AddTagsToResource",
    ),
    NO_RESOURCE,
)
FOR_INTERFACES = {
    action for action in NOT_EXACT if re.search(r"^ec2:.*(NetworkInterface|Subnet|Address)", action)
}

DATABASE = {"HOST", "PORT", "NAME", "USER", "PASSWORD", "CA"}
COGNITO = {f"AWS_COGNITO_{name}" for name in ("USER_POOL_ID", "CLIENT_ID", "IDENTITY_PROVIDERS")}
TWILIO = {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_SECONDARY"}
READABLE = {
    "cloudwatch_to_mackerel": {"MACKEREL_API_KEY", *COGNITO},
    "cloudwatch_to_slack": {"SLACK_BOT_TOKEN", *COGNITO},
    "db_to_cloudwatch": {f"DATABASE_{name}" for name in DATABASE},
    "data_export": {f"DATABASE_{name}" for name in DATABASE},
    "env_scheduler": {"SLACK_BOT_TOKEN"},
    "export_link": set(),
    "export_mail": set(),
    "kpi_to_s3": {f"DATABASE_{name}" for name in DATABASE},
    "phone_call": {f"DATABASE_{name}" for name in DATABASE},
    "phone_callback": {"SLACK_BOT_TOKEN", *TWILIO},
    "phone_sweep": {"SLACK_BOT_TOKEN", *TWILIO},
    "s3_to_bigquery": {"GOOGLE_CREDENTIALS"},
}
IN_VPC = {"data_export", "db_to_cloudwatch", "kpi_to_s3", "phone_call"}
# What Terraform decides, because a queue derives from it, or the handler counts on it.
TIMEOUTS = {"data_export": 900, "export_mail": 30, "kpi_to_s3": 900, "s3_to_bigquery": 600}
# Names of environment variables besides PARAMETER_PATH; an address is known after the apply.
ENVIRONMENT = {
    "data_export": {
        "DATABASE_REPLICA_HOST",
        "EXPORT_BUCKET",
        "EXPORT_QUEUE_URL",
        "EXPORT_TABLE",
        "LEASE_SECONDS",
        "LINK_DAYS",
        "RECEIVES",
    },
    "export_link": {"EXPORT_BUCKET", "EXPORT_TABLE", "TIMEZONE"},
    "export_mail": {
        "EXPORT_BUCKET",
        "EXPORT_MAILS_URL",
        "EXPORT_TABLE",
        "MAIL_FROM",
        "PUBLIC_BASE_URL",
        "RECEIVES",
        "RETRY_SECONDS",
        "TIMEZONE",
    },
    "env_scheduler": {"LOOKS_TABLE", "SCHEDULES", "STATE_MACHINE_ARN", "TAG_KEY"},
    "kpi_to_s3": {"KPI_BUCKET"},
    "phone_call": {"ALARM_GROUPS", "ENV_TYPE", "PHONE_TABLE", "PUBLIC_BASE_URL", "TIMEZONE"},
    "phone_callback": {
        "PHONE_TABLE",
        "PUBLIC_BASE_URL",
        "SLACK_CHANNEL",
        "SLACK_LANGUAGE",
        "TIMEZONE",
    },
    "phone_sweep": {
        "FAILED_QUEUE_URL",
        "PHONE_CALL",
        "PHONE_TABLE",
        "PUBLIC_BASE_URL",
        "SLACK_CHANNEL",
        "SLACK_LANGUAGE",
        "TIMEZONE",
    },
    "s3_to_bigquery": {
        "BIGQUERY_DATASET",
        "BIGQUERY_LOCATION",
        "BIGQUERY_PROJECT",
        "KPI_BUCKET",
        "KPI_QUEUE_URL",
        "RETRY_SECONDS",
    },
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
            "timeout",
            "vpc",
        }
        environment = known["environment"]
        assert environment["PARAMETER_PATH"] == f"/{plan.environment}/myApp"
        names = environment.keys() | (unknown.get("environment") or {}).keys()
        assert names - {"PARAMETER_PATH"} == ENVIRONMENT.get(function, set())


def test_a_destroy_leaves_api_gateways_account_without_a_role_that_is_no_more(plan: Any) -> None:
    accounts = plan.resources("aws_api_gateway_account").values()
    assert [one["reset_on_delete"] for one in accounts] == [True]


def test_timeouts_that_others_derive_from(plan: Any) -> None:
    contracts = plan.json["output_changes"]["functions"]["after"]
    decided = {name: one["timeout"] for name, one in contracts.items() if one.get("timeout")}
    assert decided == TIMEOUTS


def test_resources_are_exact(plan: Any) -> None:
    patterns = NOT_EXACT | (NOT_EXACT_ON_THE_LAPTOP if plan.environment == "local" else {})
    for function in plan.functions():
        for statement in plan.statements(function):
            if statement["Effect"] == "Deny":
                continue
            assert "NotAction" not in statement
            assert "NotResource" not in statement
            for action in statement["Action"]:
                assert "*" not in action, (function, action)
                allowed = patterns.get(action, r"arn:[^*]+").replace(
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


def test_a_database_on_rds_is_verified_by_the_roots_that_the_functions_carry(plan: Any) -> None:
    made = plan.resources("aws_ssm_parameter", within="module.database_parameters.")
    [ca] = [one["value"] for one in made.values() if one["name"].endswith("/DATABASE_CA")]
    assert ca == ("off" if plan.environment == "local" else "rds")


def _declared() -> dict[str, dict[str, str]]:
    """Return the namespaces of the queries in the tree, each with the dimensions of its header."""
    headers = [
        tomllib.loads(file.read_text().split("/*", 1)[1].split("*/", 1)[0])
        for file in QUERIES.glob("*.sql")
    ]
    assert headers
    return {header["namespace"]: header["dimensions"] for header in headers}


def test_metrics_are_put_into_the_namespaces_of_the_queries_and_the_suites_own(plan: Any) -> None:
    namespaces = _declared().keys()
    held = {
        "db_to_cloudwatch": namespaces,
        "export_mail": {"Mimamori"},
        "phone_callback": {"Mimamori"},
        "phone_sweep": {"Mimamori"},
    }
    puts = [
        (function, statement["Condition"])
        for function in plan.functions()
        for statement in plan.statements(function)
        if "cloudwatch:PutMetricData" in statement["Action"]
    ]
    assert [function for function, _ in puts] == sorted(held)
    for function, conditions in puts:
        [(test, condition)] = conditions.items()
        assert test in {"StringEquals", "StringEqualsIfExists"}
        values = condition["cloudwatch:namespace"]
        assert ({values} if isinstance(values, str) else set(values)) == held[function]
    # By this make deploy knows what the role has.
    told = plan.json["planned_values"]["outputs"]["db_to_cloudwatch"]["value"]
    assert set(told["namespaces"]) == namespaces


def test_rights_to_network_interfaces_come_with_a_vpc_only(plan: Any) -> None:
    for function in plan.functions():
        in_vpc = plan.vpc(function) is not None
        assert in_vpc == (function in IN_VPC)
        ec2 = {
            effect: {
                action
                for statement in plan.statements(function)
                if statement["Effect"] == effect
                for action in statement["Action"]
                if action in FOR_INTERFACES
            }
            for effect in ("Allow", "Deny")
        }
        assert bool(ec2["Allow"]) == in_vpc
        assert ec2["Deny"] == ec2["Allow"]  # what Lambda may, the function's own code may not


def test_only_its_own_service_takes_a_role(plan: Any) -> None:
    for address, role in plan.resources("aws_iam_role").items():
        service = "lambda" if address.startswith("module.") else "apigateway"
        service = "states" if address.startswith("module.env_scheduler_machine.") else service
        [statement] = json.loads(role["assume_role_policy"])["Statement"]
        assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}, address


def test_no_policy_is_hung_on_a_role_besides_the_tested_ones(plan: Any) -> None:
    kinds = {change["type"] for change in plan.json["resource_changes"]}
    assert not kinds & {"aws_iam_policy", "aws_iam_role_policy_attachment", "aws_iam_user"}
    policies = plan.resources("aws_iam_role_policy")
    # API Gateway's own role writes its logs, and does no more.
    [statement] = json.loads(policies.pop("aws_iam_role_policy.api_gateway[0]")["policy"])[
        "Statement"
    ]
    assert all(action.startswith("logs:") for action in statement["Action"])
    assert policies.pop("module.env_scheduler_machine.aws_iam_role_policy.this")
    assert len(policies) == len(READABLE)


def test_every_trigger_names_the_alias(plan: Any) -> None:
    targets = plan.references("aws_cloudwatch_event_target", "arn")
    assert targets
    for address, references in targets.items():
        assert "aws_lambda_alias.current.arn" in references, address
    mappings = plan.references("aws_lambda_event_source_mapping", "function_name")
    subscriptions = plan.references("aws_sns_topic_subscription", "endpoint")
    called = {
        "aws_lambda_event_source_mapping.export_mail": "export_mail",
        "aws_lambda_event_source_mapping.export_mails": "export_mail",
        "aws_lambda_event_source_mapping.exports": "data_export",
        "aws_lambda_event_source_mapping.exports_dead": "export_mail",
        "aws_lambda_event_source_mapping.kpis": "s3_to_bigquery",
        "aws_lambda_event_source_mapping.phone_callback": "phone_callback",
        "aws_sns_topic_subscription.phone": "phone_call",
    }
    assert (mappings | subscriptions).keys() == called.keys()
    for address, references in (mappings | subscriptions).items():
        assert f"module.{called[address]}.alias_arn" in references, address
    functions = {
        address.split('"')[1]: re.fullmatch(
            r"arn:aws:apigateway:ap-northeast-1:lambda:path/2015-03-31/functions/"
            r"arn:aws:lambda:ap-northeast-1:\d{12}:function:(\S+):current/invocations",
            one["uri"],
        )[1]
        for address, one in plan.resources("aws_api_gateway_integration").items()
    }
    prefix = f"mimamori-{plan.environment}-"
    assert functions == {
        "call": f"{prefix}phone_call",
        "status": f"{prefix}phone_call",
        "webhook": f"{prefix}phone_callback",
        "link": f"{prefix}export_link",
    }
    settings = plan.resources("aws_lambda_function_event_invoke_config").values()
    assert [setting["qualifier"] for setting in settings] == ["current"] * len(READABLE)


def test_every_permission_is_for_one_trigger_on_the_alias(plan: Any) -> None:
    sources = {
        "events.amazonaws.com": ("aws_cloudwatch_event_rule.this", "aws_cloudwatch_event_target"),
        "apigateway.amazonaws.com": (
            "aws_api_gateway_rest_api.this",
            "aws_api_gateway_integration",
        ),
        "sns.amazonaws.com": ("aws_sns_topic.phone", "aws_sns_topic_subscription"),
    }
    permissions = plan.resources("aws_lambda_permission")
    references = plan.references("aws_lambda_permission", "source_arn")
    for principal, (source, trigger) in sources.items():
        ours = {a: one for a, one in permissions.items() if one["principal"] == principal}
        assert len(ours) == len(plan.resources(trigger)), principal
        for address, permission in ours.items():
            assert permission["qualifier"] == "current", address
            named = references[address.split("[")[0]]
            assert any(one.startswith(source) for one in named), address
    assert {one["principal"] for one in permissions.values()} == set(sources)


def test_every_function_has_a_schedule_with_its_payload(plan: Any) -> None:
    inputs = {
        address.split(".")[1]: json.loads(target["input"])
        for address, target in plan.resources("aws_cloudwatch_event_target").items()
    }
    assert inputs["db_to_cloudwatch"] == {}
    assert inputs["kpi_to_s3"] == {"group": "daily"}
    assert inputs["phone_call"] == {"check": True}
    assert inputs["phone_sweep"] == {}
    # Streams, queues and APIs call the others; in production nothing sleeps.
    without = {"data_export", "export_link", "export_mail", "phone_callback", "s3_to_bigquery"} | (
        {"env_scheduler"} if plan.environment == "production" else set()
    )
    assert inputs.keys() == READABLE.keys() - without
    payload = inputs["cloudwatch_to_mackerel"]
    assert (payload["environment"], payload["path_to_parameter"]) == (plan.environment, "/myApp")


def test_schedules_read_the_metrics_of_their_own_environment(plan: Any) -> None:
    targets = plan.resources("aws_cloudwatch_event_target").values()
    events = [json.loads(target["input"]) for target in targets]
    metrics = [one for event in events for one in event.get("metrics", [])]
    graphs = [graph for event in events for graph in event.get("graphs", [])]
    metrics += [one for graph in graphs for one in graph["metrics"]]
    declared, own = _declared(), {"Environment": plan.environment}
    read = [one for one in metrics if one.get("namespace") in declared]
    # The weekly and the monthly report.
    assert len(read) == (2 if plan.environment == "production" else 0)
    for one in read:
        assert one["dimensions"] == own | declared[one["namespace"]]


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
        f"/aws/apigateway/mimamori-{plan.environment}-exports",
        f"/aws/apigateway/mimamori-{plan.environment}-phonecall",
        f"/aws/vendedlogs/states/mimamori-{plan.environment}-env_scheduler",
        *(f"/aws/lambda/mimamori-{plan.environment}-{function}" for function in READABLE),
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
        *TWILIO,
    }
    for one in secret:
        assert one["type"] == "SecureString"
        assert [one.get(key) for key in ("value", "insecure_value", "value_wo")] == [None] * 3
    # The keys of callers are made with the rest: nobody wrote them, no plan shows them.
    keys = plan.resources("aws_api_gateway_api_key")
    assert len(keys) == 2
    assert all("value" not in key for key in keys.values())
    # What says whom Google may trust speaks of tokens, and has none: test_kpi_plans looks at it.
    others = {k: v for k, v in plan.json["variables"].items() if k != "google_credentials"}
    given = json.dumps(others).lower()
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
    lists = [address for address, way in ways.items() if "prefix_list_id" not in way]
    for group in plan.resources("aws_security_group").values():
        assert not group.get("ingress")
        assert not group.get("egress")
    endpoints = plan.resources("aws_vpc_endpoint")
    if plan.environment == "local":
        assert not endpoints
        assert not lists
    else:
        assert not blocks
        rule = "aws_vpc_security_group_egress_rule.functions_to_gateways"
        assert lists == [f'{rule}["{service}"]' for service in ("dynamodb", "s3")]
        assert {one["service_name"] for one in endpoints.values()} == {
            "com.amazonaws.ap-northeast-1.dynamodb",
            "com.amazonaws.ap-northeast-1.monitoring",
            "com.amazonaws.ap-northeast-1.s3",
            "com.amazonaws.ap-northeast-1.sqs",
            "com.amazonaws.ap-northeast-1.ssm",
        }
        for one in endpoints.values():
            if one["vpc_endpoint_type"] == "Interface":
                assert one["private_dns_enabled"]
            else:
                assert one["route_table_ids"]


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


def test_alarms_are_made_where_somebody_is_told(plan: Any) -> None:
    alarms = plan.resources("aws_cloudwatch_metric_alarm").values()
    told = plan.json["variables"].get("alarm_actions", {}).get("value") or []
    assert bool(alarms) == bool(told) == (plan.environment == "production")
    watched = {(one["namespace"], one["metric_name"], *one["dimensions"].items()) for one in alarms}
    prefix, waiting = f"mimamori-{plan.environment}", "ApproximateNumberOfMessagesVisible"
    queues = ("exports-dead", "exports-mails-dead", "exports-unmailed", "kpis-dead")
    ours = ("ExportMailsRefused", "ExportsGivenUp", "PhoneAlarmLost", "PhoneRosterProblem")
    assert not told or watched == {
        # Another environment of the account wakes nobody here.
        *(("Mimamori", metric, ("Environment", plan.environment)) for metric in ours),
        *(("AWS/SQS", waiting, ("QueueName", f"{prefix}-{queue}")) for queue in queues),
        ("AWS/Lambda", "Errors", ("FunctionName", f"{prefix}-kpi_to_s3")),
    }
    for one in alarms:
        assert one["alarm_actions"] == told
        assert (one["threshold"], one["treat_missing_data"]) == (1, "notBreaching")
        assert one["comparison_operator"] == "GreaterThanOrEqualToThreshold"
        if one["namespace"] == "Mimamori":
            assert one["statistic"] == "Sum"
