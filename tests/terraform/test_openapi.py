"""The OpenAPI file, held against what the plan would make of the API."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).resolve().parents[2] / "docs/phone_escalation.openapi.yaml"
# Of the phone escalation; the exports' has one route, which a browser opens.
API = "module.phone_api."
VERBS = {"get", "put", "post", "delete", "patch", "head", "options"}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def _resolved(openapi: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in one:
        found: Any = openapi
        for step in one["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        one = found
    return one


def _described(openapi: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each operation by path and method, with its parameters as (place, name, required)."""
    return {
        (path, verb.upper()): operation
        | {
            "parameters": {
                (one["in"], one["name"], one.get("required", False))
                for given in item.get("parameters", []) + operation.get("parameters", [])
                for one in [_resolved(openapi, given)]
            }
        }
        for path, item in openapi["paths"].items()
        for verb, operation in item.items()
        if verb in VERBS
    }


def _planned(plan: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each method by path and method; its path is the one with the method's placeholders."""
    by_placeholders = {
        frozenset(re.findall(r"{(\w+)}", path)): path for path in plan.places("phone_api")
    }
    found = {}
    for method in plan.resources("aws_api_gateway_method", within=API).values():
        parameters = {
            (*name.removeprefix("method.request.").split("."), required)
            for name, required in method["request_parameters"].items()
        }
        placeholders = frozenset(name for place, name, _ in parameters if place == "path")
        path = by_placeholders[placeholders]
        found[path, method["http_method"]] = method | {"parameters": parameters}
    return found


def _bare(schema: Any) -> Any:
    """Return a schema without the words for people."""
    if isinstance(schema, dict):
        words = {"$schema", "title", "description", "example"}
        return {key: _bare(value) for key, value in schema.items() if key not in words}
    return [_bare(one) for one in schema] if isinstance(schema, list) else schema


def test_paths_and_methods(plan: Any, openapi: dict[str, Any]) -> None:
    assert _planned(plan).keys() == _described(openapi).keys()
    assert plan.places("phone_api") - {path for path, _ in _planned(plan)} == {"/phonecall"}
    [stage] = plan.resources("aws_api_gateway_stage", within=API).values()
    assert {server["url"].rsplit("/", 1)[1] for server in openapi["servers"]} == {
        stage["stage_name"]
    }


def test_security(plan: Any, openapi: dict[str, Any]) -> None:
    schemes = openapi["components"]["securitySchemes"]
    assert schemes == {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}
    described = _described(openapi)
    for route, method in _planned(plan).items():
        assert method["authorization"] == "NONE", route
        wanted = [{"key": []}] if method["api_key_required"] else []
        assert described[route]["security"] == wanted, route
    keyed = {(verb, path.count("{")) for (path, verb), one in described.items() if one["security"]}
    assert keyed == {("POST", 1), ("GET", 1)}


def test_parameters_are_required_by_both_or_neither(plan: Any, openapi: dict[str, Any]) -> None:
    described = _described(openapi)
    places = {"path": "path", "querystring": "query"}
    for route, method in _planned(plan).items():
        planned = {(places[place], name, need) for place, name, need in method["parameters"]}
        # Headers are the function's to look at.
        needed = {one for one in described[route]["parameters"] if one[2] and one[0] != "header"}
        assert planned == needed, route
    [validator] = plan.resources("aws_api_gateway_request_validator", within=API).values()
    assert validator["validate_request_parameters"] is True
    assert validator["validate_request_body"] is False
    for address, refers in plan.references(
        "aws_api_gateway_method", "request_validator_id"
    ).items():
        assert "aws_api_gateway_request_validator.parameters.id" in refers, address


def test_the_body(plan: Any, openapi: dict[str, Any]) -> None:
    [model] = plan.resources("aws_api_gateway_model").values()
    assert model["content_type"] == "application/json"
    described = _described(openapi)
    with_model = [route for route, one in _planned(plan).items() if one["request_models"]]
    assert with_model == [("/phonecall/{groupId}", "POST")]
    body = described[with_model[0]]["requestBody"]
    assert body["required"] is False
    schema = body["content"][model["content_type"]]["schema"]
    assert schema["$ref"].rsplit("/", 1)[1] == model["name"]
    assert _bare(_resolved(openapi, schema)) == _bare(json.loads(model["schema"]))
    optional = {name for place, name, need in described[with_model[0]]["parameters"] if not need}
    assert optional == set(json.loads(model["schema"])["properties"])


def test_every_reference_leads_somewhere_and_every_word_has_its_quotes(
    openapi: dict[str, Any],
) -> None:
    found: list[dict[str, Any]] = []

    def walk(one: Any) -> None:
        if isinstance(one, dict):
            found.extend([one] if "$ref" in one else [])
            for key, value in one.items():
                # In { description: this, that } YAML reads a key `that` without a value.
                assert value is not None, key
                walk(value)
        elif isinstance(one, list):
            for value in one:
                walk(value)

    walk(openapi)
    assert found
    assert all(_resolved(openapi, one) for one in found)
