"""Scalable targets by boto3, and by roles that the laptop's AWS judges."""

from dataclasses import replace

import pytest
import requests
from botocore.exceptions import ClientError

from sandbox.application_autoscaling import PATH

ECS = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
API = {**ECS, "ResourceId": "service/shop/api"}
SIZE = {"MinCapacity": 1, "MaxCapacity": 4}


@pytest.fixture(scope="module")
def place(front):
    """The sandbox before the laptop's AWS, where this service is."""
    return replace(front, url=front.url + PATH)


@pytest.fixture(scope="module")
def scaling(place, client):
    return client("application-autoscaling", place)


@pytest.fixture(autouse=True)
def nothing_is_left(scaling):
    yield
    for target in scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]:
        scaling.deregister_scalable_target(**ECS, ResourceId=target["ResourceId"])


def refused(code, call, *words, **fields):
    with pytest.raises(ClientError) as caught:
        call(**fields)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, 400)
    assert all(word in error["Error"]["Message"] for word in words), error["Error"]["Message"]


def test_a_target_is_made_changed_and_forgotten(scaling):
    arn = scaling.register_scalable_target(**API, **SIZE)["ScalableTargetARN"]
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert arn.startswith("arn:aws:application-autoscaling:ap-northeast-1:000000000000:scalable-t")
    assert target | {**API, **SIZE, "ScalableTargetARN": arn} == target
    assert set(target["SuspendedState"].values()) == {False}
    made = target["CreationTime"]
    for change, now in (
        ({"MaxCapacity": 6}, (1, 6)),
        ({"MinCapacity": 0, "MaxCapacity": 0}, (0, 0)),
        ({"SuspendedState": {"ScheduledScalingSuspended": True}}, (0, 0)),
    ):
        assert scaling.register_scalable_target(**API, **change)["ScalableTargetARN"] == arn
        (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        assert (target["MinCapacity"], target["MaxCapacity"]) == now
    assert [name for name, is_so in target["SuspendedState"].items() if is_so] == [
        "ScheduledScalingSuspended"
    ]
    assert target["CreationTime"] == made
    scaling.deregister_scalable_target(**API)
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    refused(
        "ObjectNotFoundException", scaling.deregister_scalable_target, "service/shop/api", **API
    )


def test_targets_are_described_by_resource_dimension_and_page(scaling, place, client):
    names = [f"service/shop/{letter}" for letter in "edcba"]
    for name in names:
        scaling.register_scalable_target(**ECS, ResourceId=name, **SIZE)

    def ask(**fields):
        pages = scaling.get_paginator("describe_scalable_targets").paginate(**fields)
        return [[each["ResourceId"] for each in page["ScalableTargets"]] for page in pages]

    assert ask(ServiceNamespace="ecs") == [names]
    assert ask(**ECS, ResourceIds=["service/shop/a", "service/shop/gone"]) == [["service/shop/a"]]
    assert ask(ServiceNamespace="ecs", ScalableDimension="rds:cluster:ReadReplicaCount") == [[]]
    assert ask(ServiceNamespace="rds") == [[]]
    assert ask(ServiceNamespace="ecs", MaxResults=2) == [names[:2], names[2:4], names[4:]]
    assert ask(ServiceNamespace="ecs", ResourceIds=names[1:3], MaxResults=2) == [names[1:3]]
    elsewhere = client("application-autoscaling", place, "222222222222")
    assert not elsewhere.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (SIZE | {"MaxCapacity": 0}, "MinCapacity must not be greater than MaxCapacity: 1 > 0"),
        (SIZE | {"MinCapacity": -1}, "MinCapacity must not be negative"),
        ({"MinCapacity": 1}, "MaxCapacity is required"),
        ({"MaxCapacity": 1}, "MinCapacity is required"),
        (SIZE | {"ServiceNamespace": "ecz"}, "'serviceNamespace' failed to satisfy constraint"),
        (SIZE | {"ScalableDimension": "ecs:x"}, "Member must satisfy enum value set"),
        (SIZE | {"ServiceNamespace": "rds"}, "Unsupported service namespace, resource type"),
        (SIZE | {"ResourceId": "shop/api"}, "Unsupported service namespace, resource type"),
        (SIZE | {"ResourceId": ""}, "length greater than or equal to 1"),
    ],
)
def test_what_cannot_be_registered(scaling, place, client, fields, words):
    strict = client("application-autoscaling", place, parameter_validation=False)
    refused("ValidationException", strict.register_scalable_target, words, **API | fields)
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def test_a_change_is_held_to_what_is_there(scaling):
    scaling.register_scalable_target(**API, **SIZE)
    register = scaling.register_scalable_target
    refused("ValidationException", register, "5 > 4", **API, MinCapacity=5)
    refused("ValidationException", register, "TagResource", **API, Tags={"a": "b"})


@pytest.mark.parametrize(
    ("code", "fields", "words"),
    [
        ("ValidationException", {}, "Value null at 'serviceNamespace'"),
        ("ValidationException", {"ServiceNamespace": "x"}, "enum value set"),
        ("ValidationException", ECS | {"ResourceIds": ["a"] * 51}, "less than or equal to 50"),
        ("ValidationException", ECS | {"MaxResults": 51}, "MaxResults"),
        ("InvalidNextTokenException", ECS | {"NextToken": "x"}, "token"),
        ("SerializationException", {"ServiceNamespace": 1}, "ServiceNamespace takes a string"),
        ("SerializationException", ECS | {"ResourceIds": [1]}, "ResourceIds takes a list"),
    ],
)
def test_what_cannot_be_asked(place, client, code, fields, words):
    # boto3 leaves a number where a string should be, unless it validates.
    strict = client("application-autoscaling", place, parameter_validation=False)
    refused(code, strict.describe_scalable_targets, words, **fields)


def test_tags(scaling):
    arn = scaling.register_scalable_target(**API, **SIZE, Tags={"Schedule": "office-hours"})[
        "ScalableTargetARN"
    ]
    scaling.tag_resource(ResourceARN=arn, Tags={"team": "shop"})
    both = {"Schedule": "office-hours", "team": "shop"}
    scaling.register_scalable_target(**API, MinCapacity=0)
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == both
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team", "gone"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"Schedule": "office-hours"}
    many = {f"t{number}": "" for number in range(50)}
    refused("TooManyTagsException", scaling.tag_resource, ResourceARN=arn, Tags=many)
    gone = arn[:-1] + "-"
    refused("ResourceNotFoundException", scaling.list_tags_for_resource, ResourceARN=gone)


def test_a_role_is_judged_by_its_policy(place, client, role, scaling):
    nobody = client("application-autoscaling", place, *role("ec2:*"))
    name = "application-autoscaling:"
    for call, action, fields in (
        (nobody.describe_scalable_targets, "DescribeScalableTargets", {"ServiceNamespace": "ecs"}),
        (nobody.register_scalable_target, "RegisterScalableTarget", API | SIZE),
        (nobody.describe_scaling_policies, "DescribeScalingPolicies", {"ServiceNamespace": "ecs"}),
    ):
        words = (":assumed-role/role-", f"is not authorized to perform: {name}{action}")
        refused("AccessDeniedException", call, *words, **fields)
    reader = client("application-autoscaling", place, *role(name + "Describe*"))
    assert reader.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    words = ("on resource: arn:aws:application-autoscaling:", ":scalable-target/")
    refused("AccessDeniedException", reader.register_scalable_target, *words, **API, **SIZE)
    writer = client("application-autoscaling", place, *role(name + "RegisterScalableTarget"))
    arn = writer.register_scalable_target(**API, **SIZE)["ScalableTargetARN"]
    assert writer.register_scalable_target(**API, MinCapacity=0)["ScalableTargetARN"] == arn
    refused("AccessDeniedException", writer.describe_scalable_targets, ServiceNamespace="ecs")
    (seen,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert seen["ScalableTargetARN"] == arn


@pytest.mark.parametrize("action", ["*", "ses:*"])
def test_a_role_that_cannot_be_told_is_let_do_nothing(place, client, role, action):
    anybody = client("application-autoscaling", place, *role(action))
    words = "cannot tell who asks"
    call = anybody.describe_scalable_targets
    refused("AccessDeniedException", call, words, ServiceNamespace="ecs")


def test_a_signature_is_judged_over_what_was_signed(place, client, role):
    key, secret, token = role("application-autoscaling:*")
    for credentials, code in (
        ((key, "x" * 40, token), "InvalidSignatureException"),
        (("ASIA" + "X" * 16, secret, token), "UnrecognizedClientException"),
        ((key, secret, "x"), "UnrecognizedClientException"),
    ):
        call = client("application-autoscaling", place, *credentials).describe_scalable_targets
        refused(code, call, ServiceNamespace="ecs")
    response = requests.post(place.url, data=b"{}", timeout=10)
    assert response.status_code == 400
    assert response.json()["__type"] == "MissingAuthenticationTokenException"


def test_what_is_not_played_is_said(scaling):
    call = scaling.describe_scaling_policies
    refused("UnknownOperationException", call, "DescribeScalingPolicies", ServiceNamespace="ecs")


def test_a_fault_has_the_services_shape(front, scaling):
    front.fault(service="application-autoscaling", status=400, message="On demand.")
    refused(
        "ValidationException",
        scaling.describe_scalable_targets,
        "On demand.",
        ServiceNamespace="ecs",
    )


def test_an_aws_that_does_not_answer_is_named(sandbox, client):
    alone = client("application-autoscaling", replace(sandbox, url=sandbox.url + PATH))
    with pytest.raises(ClientError, match="http://127.0.0.1:9 does not answer") as caught:
        alone.describe_scalable_targets(ServiceNamespace="ecs")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_targets_outlive_the_sandbox(aws, start_sandbox, client, tmp_path):
    for already in (0, 1):
        with start_sandbox(tmp_path, aws=aws.url) as server:
            scaling = client("application-autoscaling", replace(server, url=server.url + PATH))
            found = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
            assert len(found) == already
            scaling.register_scalable_target(**API, **SIZE)
