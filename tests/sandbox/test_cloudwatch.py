import gzip
from datetime import UTC, datetime, timedelta

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from common import cloudwatch as functions
from common.cloudwatch import Metric, Window, count, read_all
from db_to_cloudwatch import metrics
from db_to_cloudwatch.handler import put
from db_to_cloudwatch.queries import Header

NAMESPACE = "Shop/Orders"
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
END = START + timedelta(minutes=30)


@pytest.fixture(scope="module", autouse=True)
def data(aws, client):
    """Sold: 10, 20, 30 and 50 in the first, second, third and fifth 5 minutes; returned: 1, 2, 0, 4
    in the first to the fourth."""
    client("cloudwatch", aws).put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": name,
                "Timestamp": START + timedelta(minutes=5 * index),
                "Value": value,
            }
            for name, values in (
                ("Sold", {0: 10, 1: 20, 2: 30, 4: 50}),
                ("Returned", {0: 1, 1: 2, 2: 0, 3: 4}),
            )
            for index, value in values.items()
        ],
    )


def stat(name, metric, **more):
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": NAMESPACE, "MetricName": metric},
            "Period": 300,
            "Stat": "Sum",
        },
        **more,
    }


def ask(cloudwatch, *queries, **more):
    return cloudwatch.get_metric_data(
        MetricDataQueries=list(queries), StartTime=START, EndTime=END, **more
    )["MetricDataResults"]


def minutes(result):
    return [int((at - START).total_seconds() // 60) for at in result["Timestamps"]]


def refused(cloudwatch, *queries):
    with pytest.raises(ClientError) as caught:
        ask(cloudwatch, *queries)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Code"] == "ValidationError"
    return error["Error"]["Message"]


def test_expressions_are_evaluated(cloudwatch):
    rate, kept, filled = ask(
        cloudwatch,
        stat("sold", "Sold", ReturnData=False),
        stat("returned", "Returned", ReturnData=False),
        {"Id": "rate", "Expression": "100 * returned / sold", "Label": "Return rate"},
        {"Id": "hidden", "Expression": "sold - returned", "ReturnData": False},
        {"Id": "kept", "Expression": "hidden"},
        {"Id": "filled", "Expression": "FILL(sold, 0) - FILL(returned, 0)"},
        ScanBy="TimestampAscending",
    )
    assert (rate["Id"], rate["Label"], rate["StatusCode"]) == ("rate", "Return rate", "Complete")
    assert (minutes(rate), rate["Values"]) == ([0, 5, 10], [10, 10, 0])
    assert (kept["Id"], kept["Label"], kept["Values"]) == ("kept", "kept", [9, 18, 30])
    assert minutes(filled) == [0, 5, 10, 15, 20, 25]
    assert filled["Values"] == [9, 18, 30, -4, 50, 0]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, [10, 5, 0]),
        ({"ScanBy": "TimestampDescending"}, [10, 5, 0]),
        ({"ScanBy": "TimestampAscending"}, [0, 5, 10]),
    ],
)
def test_points_come_in_the_order_asked_for(cloudwatch, order, expected):
    both, sold, returned = ask(
        cloudwatch,
        {"Id": "both", "Expression": "sold + returned"},
        stat("sold", "Sold"),
        stat("returned", "Returned"),
        **order,
    )
    assert minutes(both) == expected
    assert both["Values"] == [{0: 11, 5: 22, 10: 30}[minute] for minute in expected]
    assert minutes(sold) == sorted([0, 5, 10, 20], reverse=expected[0] == 10)
    (alone,) = ask(cloudwatch, stat("returned", "Returned"), **order)
    assert minutes(alone) == minutes(returned)
    assert alone["Values"] == returned["Values"]


def test_a_metric_without_data_gives_no_points(cloudwatch):
    found = ask(
        cloudwatch,
        stat("sold", "Sold", ReturnData=False),
        stat("nothing", "Nothing", ReturnData=False),
        {"Id": "e", "Expression": "sold + nothing"},
    )
    assert [(result["Id"], result["Values"]) for result in found] == [("e", [])]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("sold -", "Unexpected end of expression"),
        ("sold - gone", "Unrecognized id 'gone'"),
        ("SUM(sold)", "The result must be a single time series, not a scalar"),
        ("c + 1", "Circular reference c -> c"),
    ],
)
def test_a_bad_expression(cloudwatch, expression, words):
    message = refused(cloudwatch, stat("sold", "Sold"), {"Id": "c", "Expression": expression})
    assert message == f"Error in expression 'c': {words}"


def test_more_than_500_queries(cloudwatch):
    assert len(ask(cloudwatch, *(stat(f"m{n}", "Sold") for n in range(500)))) == 500
    message = refused(cloudwatch, *(stat(f"m{n}", "Sold") for n in range(501)))
    assert message == ("The collection MetricDataQueries must not have a size greater than 500.")


def test_malformed_queries(cloudwatch):
    assert "MetricDataQueries.member.1.Id is not matching" in refused(
        cloudwatch, stat("Sold", "Sold")
    )
    assert "not unique" in refused(cloudwatch, stat("a", "Sold"), stat("a", "Returned"))
    assert "either Expression or MetricStat" in refused(
        cloudwatch, stat("a", "Sold", Expression="a")
    )


def test_compressed_metrics_arrive(cloudwatch, front):
    sent = []
    cloudwatch.meta.events.register(
        "before-send.cloudwatch.PutMetricData", lambda request, **_: sent.append(request)
    )
    cloudwatch.put_metric_data(
        Namespace="Big",
        MetricData=[
            {"MetricName": f"Metric{n}", "Timestamp": START, "Value": n} for n in range(1000)
        ],
    )
    assert sent[0].headers["Content-Encoding"] in ("gzip", b"gzip")
    assert gzip.decompress(sent[0].body)
    big = stat("m", "Metric999")
    big["MetricStat"]["Metric"]["Namespace"] = "Big"
    assert ask(cloudwatch, big)[0]["Values"] == [999]


def test_dimensions_are_matched_whole(cloudwatch):
    one, two = {"Name": "A", "Value": "x"}, {"Name": "B", "Value": "y"}
    sets = {"none": [], "one": [one], "both": [one, two], "other": [{"Name": "A", "Value": "z"}]}
    cloudwatch.put_metric_data(
        Namespace="Whole",
        MetricData=[
            {"MetricName": "Sold", "Dimensions": dimensions, "Timestamp": START, "Value": value}
            for value, dimensions in enumerate(sets.values(), 1)
        ],
    )

    def about(dimensions):
        return {"Namespace": "Whole", "MetricName": "Sold", "Dimensions": dimensions}

    queries = [
        {"Id": name, "MetricStat": {"Metric": about(each), "Period": 300, "Stat": "Sum"}}
        for name, each in (sets | {"nobody": [two]}).items()
    ]
    found = {result["Id"]: result["Values"] for result in ask(cloudwatch, *queries)}
    assert found == {"none": [1], "one": [2], "both": [3], "other": [4], "nobody": []}
    counted = cloudwatch.get_metric_statistics(
        **about([]), StartTime=START, EndTime=END, Period=300, Statistics=["Sum"]
    )
    assert [point["Sum"] for point in counted["Datapoints"]] == [1]


def test_two_environments_keep_their_values_apart(cloudwatch, monkeypatch):
    monkeypatch.setattr(functions.aws, "client", lambda _: cloudwatch)
    header = Header("RDS/RECORDS", dimensions={"RDS": "RECORDS"})
    for number, environment in enumerate(("one", "two"), 1):
        monkeypatch.setenv("PARAMETER_PATH", f"/{environment}/myApp")
        for _ in range(number):
            count("PhoneAlarmLost")
        rows = metrics.Result(["USERS"], [True], [[number]])
        counted = metrics.data(header, rows, START, environment)
        assert put(header.namespace, [("users", datum) for datum in counted]) == (1, {})
    about = {"stat": "Sum", "period": 86400}
    users = about | {"namespace": "RDS/RECORDS", "metric": "USERS"}
    lost = about | {"namespace": "Mimamori", "metric": "PhoneAlarmLost"}
    asked = {"nobodys": Metric(**users, dimensions={"RDS": "RECORDS"})}
    for environment in ("one", "two"):
        own = {"Environment": environment}
        asked[f"users_{environment}"] = Metric(**users, dimensions=own | header.dimensions)
        asked[f"lost_{environment}"] = Metric(**lost, dimensions=own)
    window = Window(START - timedelta(days=1), datetime.now(UTC) + timedelta(days=1))
    series, problems = read_all(asked, {86400: window}, str)
    assert problems == {}
    assert {name: sum(one.points.values()) for name, one in series.items()} == {
        "nobodys": 0,
        "users_one": 1,
        "users_two": 2,
        "lost_one": 1,
        "lost_two": 2,
    }


def test_a_role_is_judged_by_its_policy(front, client, role):
    nobody = client("cloudwatch", front, *role())
    with pytest.raises(ClientError) as caught:
        ask(nobody, stat("sold", "Sold"))
    assert caught.value.response["Error"]["Code"].startswith("AccessDenied")
    assert "cloudwatch:GetMetricData" in caught.value.response["Error"]["Message"]
    with pytest.raises(ClientError, match="AccessDenied"):
        ask(nobody, stat("sold", "Sold"), {"Id": "e", "Expression": "sold -"})
    reader = client("cloudwatch", front, *role("cloudwatch:GetMetricData"))
    found = ask(reader, stat("sold", "Sold", ReturnData=False), {"Id": "e", "Expression": "sold"})
    assert sum(found[0]["Values"]) == 110
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_metric_data(Namespace="X", MetricData=[{"MetricName": "a", "Value": 1}])


def test_a_signature_is_judged_over_what_was_signed(front, client, role):
    key, _, token = role("cloudwatch:GetMetricData")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        ask(client("cloudwatch", front, key, "x" * 40, token), stat("sold", "Sold"))


@pytest.mark.parametrize(
    ("path", "headers", "body", "answer"),
    [
        (
            "/",
            {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            b"Action=ListMetrics&Version=2010-08-01&Namespace=Shop%2FOrders",
            b"<MetricName>Sold</MetricName>",
        ),
        (
            "/?a=%2F%20b&c",
            {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            b"Action=ListMetrics&Version=2010-08-01&Namespace=Shop%2FOrders",
            b"<MetricName>Sold</MetricName>",
        ),
        (
            "/service/GraniteServiceVersion20100801/operation/ListMetrics",
            {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"},
            b"\xa0",
            b"Sold",
        ),
    ],
)
def test_the_other_protocols_pass_with_a_valid_signature(front, role, path, headers, body, answer):
    request = AWSRequest("POST", front.url + path, headers=headers, data=body)
    SigV4Auth(
        Credentials(*role("cloudwatch:ListMetrics")), "monitoring", "ap-northeast-1"
    ).add_auth(request)
    response = requests.post(front.url + path, data=body, headers=dict(request.headers), timeout=10)
    assert response.status_code == 200, response.text
    assert answer in response.content


def test_a_signed_request_is_needed(front):
    response = requests.post(front.url, data=b"Action=ListMetrics", timeout=10)
    assert response.status_code == 403
    assert b"Missing Authentication Token" in response.content


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ValidationError"),
        (403, "AccessDenied"),
        (429, "Throttling"),
        (503, "ServiceUnavailable"),
    ],
)
def test_a_fault_has_cloudwatchs_shape(front, client, status, code):
    front.fault(service="cloudwatch", status=status, message="On demand.")
    with pytest.raises(ClientError) as caught:
        ask(client("cloudwatch", front), stat("sold", "Sold"))
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"] == "On demand."
    assert ask(client("cloudwatch", front), stat("sold", "Sold"))


def test_a_fault_in_the_other_protocols(front):
    front.fault(service="cloudwatch", status=500, message="Down & out.", times=2)
    response = requests.post(front.url, data={"Action": "ListMetrics"}, timeout=10)
    assert (
        b"<Code>InternalServiceError</Code><Message>Down &amp; out.</Message>" in response.content
    )
    response = requests.post(
        f"{front.url}/service/x/operation/y", headers={"smithy-protocol": "rpc-v2-cbor"}, timeout=10
    )
    assert response.headers["content-type"] == "application/cbor"
    assert response.content.startswith(b"\xa2\x79\x00\x06__type\x79\x00")
    assert response.content.endswith(b"Down & out.")


def test_an_aws_that_does_not_answer_is_named(sandbox, client):
    with pytest.raises(ClientError, match="http://127.0.0.1:9 does not answer") as caught:
        ask(client("cloudwatch", sandbox), stat("sold", "Sold"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
