"""What fills the laptop: believable, and the same however often it is filled."""

from datetime import UTC, datetime, timedelta

import pytest

import seed
from stack import Stack

NOW = datetime(2026, 11, 20, 3, 30, 10, tzinfo=UTC)  # half past noon in Tokyo


def test_users_and_orders(stack: Stack) -> None:
    counts = seed.seed(stack)
    assert counts["users"] > 2000
    assert counts["orders"] > counts["users"]
    assert seed.seed(stack)["users"] - counts["users"] < 5  # a minute's, at most
    with stack.connect("reader") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM users WHERE created_at > UTC_TIMESTAMP()")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT COUNT(DISTINCT status) FROM orders")
        assert cursor.fetchone() == (4,)
        cursor.execute("SELECT name FROM users ORDER BY id LIMIT 1")
        assert not cursor.fetchone()[0].isascii()


@pytest.mark.parametrize("later", [timedelta(hours=5), timedelta(days=1), timedelta(days=9)])
def test_what_is_made_later_fits_what_is_there(later: timedelta) -> None:
    before = {row[0]: row for row in seed._made_before(NOW, seed._users(NOW))}
    after = {row[0]: row for row in seed._made_before(NOW + later, seed._users(NOW + later))}
    first = min(after)
    assert all(after.get(key, row) == row for key, row in before.items() if key >= first)
    assert max(after) > max(before)


def test_sign_ins_are_put_once(stack: Stack) -> None:
    providers = ["Google", "LINE"]
    assert seed.put_cognito(stack, "pool", "client", NOW, providers) > 300
    assert seed.put_cognito(stack, "pool", "client", NOW, providers) == 0
    later = NOW + timedelta(minutes=5)
    assert 0 < seed.put_cognito(stack, "pool", "client", later, providers) < 30
    dimensions = [
        {"Name": "UserPool", "Value": "pool"},
        {"Name": "UserPoolClient", "Value": "client"},
    ]
    metric = {
        "Namespace": "AWS/Cognito",
        "MetricName": "SignInSuccesses",
        "Dimensions": dimensions,
    }
    answer = seed.client(stack, "cloudwatch").get_metric_data(
        StartTime=NOW - timedelta(hours=6),
        EndTime=NOW,
        MetricDataQueries=[
            {"Id": s.lower(), "MetricStat": {"Metric": metric, "Period": 86400, "Stat": s}}
            for s in ("Sum", "SampleCount")
        ],
    )
    by_id = {result["Id"]: sum(result["Values"]) for result in answer["MetricDataResults"]}
    listed = seed.client(stack, "cloudwatch").list_metrics(
        Namespace="AWS/Cognito", MetricName="FederationSuccesses"
    )["Metrics"]
    assert sorted(
        {one["Name"]: one["Value"] for one in metric["Dimensions"]}.get("IdentityProvider", "")
        for metric in listed
    ) == ["Google", "LINE"]
    assert 0.8 * by_id["samplecount"] < by_id["sum"] < by_id["samplecount"]


def test_the_database_has_its_record(stack: Stack) -> None:
    rds = seed.client(stack, "rds")
    for group in ("sg-1", "sg-1", "sg-2"):
        seed.ensure_database_record(stack, group)
        named = rds.describe_db_instances(DBInstanceIdentifier="mimamori-local-db")
        [found] = named["DBInstances"]
        assert found["Endpoint"]["Port"] == stack.database_port
        assert [g["VpcSecurityGroupId"] for g in found["VpcSecurityGroups"]] == [group]


def test_the_databases_that_sleep_are_made_once_and_left_as_they_are(stack: Stack) -> None:
    rds = seed.client(stack, "rds")
    seed.ensure_sleepers(stack)
    rds.stop_db_cluster(DBClusterIdentifier="myapp")
    seed.ensure_sleepers(stack)
    [cluster] = rds.describe_db_clusters()["DBClusters"]
    assert (cluster["DBClusterIdentifier"], cluster["Status"]) == ("myapp", "stopped")
    assert [one["DBInstanceIdentifier"] for one in cluster["DBClusterMembers"]] == ["myapp-1"]
    tagged = {
        one["DBInstanceIdentifier"]: one.get("DBClusterIdentifier") or None
        for one in rds.describe_db_instances()["DBInstances"]
        if seed.OFFICE_HOURS in one["TagList"]
    }
    assert tagged == {"myapp-1": "myapp", "myapp-report": None}
    assert seed.OFFICE_HOURS in cluster["TagList"]


def test_the_service_that_scales_is_registered_once_and_left_as_it_is(stack: Stack) -> None:
    scaling = seed.client(stack, "application-autoscaling")
    api = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/myapp/api",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    for bounds in ((1, 4), (0, 0)):
        seed.put_scaling(stack, "myapp", "api")
        [target] = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        assert target | api == target
        assert (target["MinCapacity"], target["MaxCapacity"]) == bounds
        scaling.register_scalable_target(**api, MinCapacity=0, MaxCapacity=0)
    tags = scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]
    assert tags == {"Schedule": "office-hours"}
