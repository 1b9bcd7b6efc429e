"""What the plans would make of the environment scheduler, besides what holds for every function."""

import json
import re
from typing import Any

FUNCTION = "env_scheduler"
# What changes something. All of it is held to the tag, wherever AWS judges.
WRITES = r"(?!states:)[a-z0-9-]+:(?!Describe|Get|List)\w+"
MARKS = {
    "autoscaling:CreateOrUpdateTags",
    "ec2:CreateTags",
    "ecs:TagResource",
    "rds:AddTagsToResource",
}
ACTS = {
    "application-autoscaling:RegisterScalableTarget",
    "autoscaling:UpdateAutoScalingGroup",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ecs:UpdateService",
    "rds:StartDBCluster",
    "rds:StartDBInstance",
    "rds:StopDBCluster",
    "rds:StopDBInstance",
}
# Account 000000000000 is the emulator's, which makes every plan here.
ARN = "arn:aws:{service}:ap-northeast-1:000000000000:{resource}"


def _schedules(plan: Any) -> dict[str, Any]:
    return plan.json["variables"]["env_scheduler"]["value"]["schedules"]


def _writes(plan: Any) -> list[dict[str, Any]]:
    """Return the statements that allow a change of what is not the function's own."""
    own = ("logs:CreateLogStream", "logs:PutLogEvents", "dynamodb:PutItem")
    return [
        statement
        for statement in plan.statements(FUNCTION)
        if any(re.fullmatch(WRITES, action) and action not in own for action in statement["Action"])
    ]


def _listed(one_or_many: str | list[str]) -> list[str]:
    return [one_or_many] if isinstance(one_or_many, str) else one_or_many


def test_it_touches_only_what_has_the_tag(plan: Any) -> None:
    tags = {schedule["tag"] for schedule in _schedules(plan).values()}
    for statement in _writes(plan):
        held = statement.get("Condition", {}).get("StringEquals", {})
        # On the laptop alone the condition is left out: the emulator cannot judge it.
        if plan.environment == "local":
            assert not held
        else:
            assert held.keys() == {"aws:ResourceTag/Schedule"}, statement["Action"]
            assert set(_listed(held["aws:ResourceTag/Schedule"])) == tags
    if plan.environment != "local":
        given = plan.json["variables"]["env_scheduler"]["value"]
        assert given.get("tag_condition", True) is True


def test_it_may_do_no_more_than_it_does(plan: Any) -> None:
    allowed = {action for statement in _writes(plan) for action in statement["Action"]}
    assert allowed == (ACTS | MARKS if _schedules(plan) else set())


def test_where_nothing_is_ever_to_sleep_nothing_is_allowed(plan: Any) -> None:
    assert bool(_writes(plan)) == bool(_schedules(plan)) == (plan.environment != "production")


def test_the_table_of_its_looks_is_its_own(plan: Any) -> None:
    name = f"mimamori-{plan.environment}-{FUNCTION}-looks"
    [statement] = [s for s in plan.statements(FUNCTION) if "dynamodb:PutItem" in s["Action"]]
    assert sorted(statement["Action"]) == ["dynamodb:GetItem", "dynamodb:PutItem"]
    assert statement["Resource"] == [ARN.format(service="dynamodb", resource=f"table/{name}")]
    table = plan.resources("aws_dynamodb_table")["aws_dynamodb_table.env_scheduler_looks"]
    assert (table["name"], table["hash_key"]) == (name, "schedule")
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert table["server_side_encryption"][0]["enabled"] is True
    environment = plan.json["output_changes"]["functions"]["after"][FUNCTION]["environment"]
    assert environment["LOOKS_TABLE"] == name


def test_it_writes_its_own_tags_and_never_the_one_that_lets_it_in(plan: Any) -> None:
    for statement in _writes(plan):
        marks = MARKS & {*statement["Action"]}
        keys = statement.get("Condition", {}).get("ForAllValues:StringEquals", {})
        assert keys.keys() == ({"aws:TagKeys"} if marks else set())
        if marks:
            assert marks == {*statement["Action"]}
            assert sorted(keys["aws:TagKeys"]) == ["mimamori:scheduler", "mimamori:size"]


def test_each_schedule_has_a_rule_every_quarter_of_an_hour(plan: Any) -> None:
    rules = {
        rule["name"].removeprefix(f"mimamori-{plan.environment}-{FUNCTION}-"): rule
        for address, rule in plan.resources("aws_cloudwatch_event_rule").items()
        if address.startswith(f"module.{FUNCTION}.")
    }
    assert rules.keys() == _schedules(plan).keys()
    for rule in rules.values():
        assert rule["schedule_expression"] == "cron(0/15 * * * ? *)"
        # It must not put the laptop's estate to sleep while somebody shows it to others.
        assert rule["state"] == ("DISABLED" if plan.environment == "local" else "ENABLED")


def test_the_payload_is_the_schedule(plan: Any) -> None:
    inputs = {
        address.split('"')[1]: json.loads(target["input"])
        for address, target in plan.resources("aws_cloudwatch_event_target").items()
        if address.startswith(f"module.{FUNCTION}.")
    }
    environment = plan.json["output_changes"]["functions"]["after"][FUNCTION]["environment"]
    known = {one["name"]: one for one in json.loads(environment["SCHEDULES"])}
    assert {name: payload["schedule"] for name, payload in inputs.items()} == known
    for name, payload in inputs.items():
        assert payload.keys() == {"schedule", "channel", "language"}, name
    if plan.environment == "staging":
        assert known["office-hours"] | {"name": ""} == {
            "name": "",
            "days": ["MON", "TUE", "WED", "THU", "FRI"],
            "start": None,
            "stop": "21:00",
            "timezone": "Asia/Tokyo",
            "holidays": True,
            "days_off": ["12-29..01-03"],
            "tag": "office-hours",
            "grace_minutes": 0,
        }


def test_function_and_machine_know_each_other(plan: Any) -> None:
    name = f"mimamori-{plan.environment}-{FUNCTION}"
    machine = ARN.format(service="states", resource=f"stateMachine:{name}")
    alias = ARN.format(service="lambda", resource=f"function:{name}:current")
    environment = plan.json["output_changes"]["functions"]["after"][FUNCTION]["environment"]
    assert environment["STATE_MACHINE_ARN"] == machine
    starts = [s for s in plan.statements(FUNCTION) if "states:StartExecution" in s["Action"]]
    assert [statement["Resource"] for statement in starts] == [[machine]]
    [made] = plan.resources("aws_sfn_state_machine").values()
    assert (made["name"], made["type"]) == (name, "STANDARD")
    called = set(re.findall(r'"FunctionName": "([^"]+)"', made["definition"]))
    assert called == {alias}
    assert "${" not in made["definition"]
    json.loads(made["definition"])
    [logging] = made["logging_configuration"]
    assert (logging["level"], logging["include_execution_data"]) == ("ERROR", True)


def test_the_machines_role_calls_the_alias_and_writes_logs(plan: Any) -> None:
    invoke, logs = plan.statements("env_scheduler_machine")
    alias = f"function:mimamori-{plan.environment}-{FUNCTION}:current"
    assert invoke["Action"] == ["lambda:InvokeFunction"]
    assert invoke["Resource"] == [ARN.format(service="lambda", resource=alias)]
    # Log deliveries take no resource.
    assert all(re.fullmatch(r"logs:\w+", action) for action in logs["Action"])
    assert logs["Resource"] == ["*"]
    role = plan.resources("aws_iam_role")["module.env_scheduler_machine.aws_iam_role.this"]
    [statement] = json.loads(role["assume_role_policy"])["Statement"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "000000000000"}
