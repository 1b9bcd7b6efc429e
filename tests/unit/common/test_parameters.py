import pytest

from common import aws, parameters
from common.events import InvalidEvent
from common.parameters import PLACEHOLDER, ParameterError


@pytest.mark.parametrize(
    ("environment", "path", "expected"),
    [
        (None, None, "/test/myApp"),
        ("staging", "/myApp", "/staging/myApp"),
        ("prod-1", "/team/my_app.x", "/prod-1/team/my_app.x"),
    ],
)
def test_path(environment, path, expected):
    assert parameters.path(environment, path) == expected


def test_the_environment_of_a_path():
    assert parameters.environment("/prod-1/team/my_app.x") == "prod-1"


@pytest.mark.parametrize(
    ("environment", "path", "field"),
    [
        ("staging", None, "path_to_parameter"),
        (None, "/myApp", "environment"),
        ("", "/myApp", "environment"),
        ("a/b", "/myApp", "environment"),
        ("staging", "myApp", "path_to_parameter"),
        ("staging", "/myApp/", "path_to_parameter"),
        ("staging", "/my App", "path_to_parameter"),
        ("staging", "/*", "path_to_parameter"),
    ],
)
def test_a_bad_path_names_the_field(environment, path, field):
    with pytest.raises(InvalidEvent, match=f"^{field}: got"):
        parameters.path(environment, path)


def test_read_decrypts_and_asks_once_a_name(put_parameter, monkeypatch):
    put_parameter("B", "value of B")
    put_parameter("A", "value of A")
    client = aws.client("ssm")
    get = client.get_parameter
    asked = []
    monkeypatch.setattr(client, "get_parameter", lambda **kw: asked.append(kw) or get(**kw))
    found = parameters.read("/test/myApp", ["B", "A", "B"])
    assert [found[name] for name in "AB"] == ["value of A", "value of B"]
    assert [call["Name"] for call in asked] == ["/test/myApp/A", "/test/myApp/B"]


def test_a_parameter_that_is_not_there_says_so_when_it_is_asked_for(put_parameter):
    put_parameter("THERE", "here")
    found = parameters.read("/test/myApp", ["THERE", "MISSING"])
    assert found["THERE"] == "here"
    with pytest.raises(ParameterError, match=r"/test/myApp/MISSING does not exist.*terraform"):
        found["MISSING"]


def test_an_unfilled_secret_says_which_and_how(put_parameter):
    put_parameter("MACKEREL_API_KEY", PLACEHOLDER)
    found = parameters.read("/test/myApp", ["MACKEREL_API_KEY"])
    with pytest.raises(ParameterError, match="make secret ENV=test NAME=MACKEREL_API_KEY"):
        found["MACKEREL_API_KEY"]


def test_a_forbidden_parameter_keeps_no_other_from_being_read(put_parameter, monkeypatch):
    put_parameter("MINE", "mine")
    put_parameter("YOURS", "yours")
    client = aws.client("ssm")
    get = client.get_parameter

    def guarded(**kwargs):
        if "YOURS" in kwargs["Name"]:
            answer = {"Error": {"Code": "AccessDeniedException", "Message": "role x may not"}}
            raise client.exceptions.ClientError(answer, "GetParameter")
        return get(**kwargs)

    monkeypatch.setattr(client, "get_parameter", guarded)
    found = parameters.read("/test/myApp", ["MINE", "YOURS"])
    assert found["MINE"] == "mine"
    with pytest.raises(ParameterError, match=r"/test/myApp/YOURS cannot be read: .*role x may not"):
        found["YOURS"]
