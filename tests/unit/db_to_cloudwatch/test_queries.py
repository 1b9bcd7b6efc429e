import re

import pytest

from common.queries import InvalidQuery
from db_to_cloudwatch import queries
from db_to_cloudwatch.queries import load

HEADER = 'namespace = "RDS/RECORDS"'


@pytest.mark.parametrize("name", queries.names())
def test_every_query_of_ours_has_a_good_header(name):
    assert load(name).sql.startswith("SELECT")


def test_terraform_finds_the_namespace_of_every_query():
    """The role may put metrics only into the namespaces that Terraform reads from these files."""
    for name in queries.names():
        text = (queries.FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        assert re.findall(r'(?m)^namespace\s*=\s*"([^"]+)"', text) == [load(name).header.namespace]


def test_a_header_is_toml_in_the_leading_comment(tmp_path):
    (tmp_path / "q.sql").write_text(
        f'/*\n{HEADER}\nunit = "Count" # of heads\ntimeout = 5\n[dimensions]\nA = "b"\n*/\n'
        "SELECT 1 /* not a header */ AS N;\n"
    )
    query = load("q", tmp_path)
    assert query.header.unit == "Count"
    assert query.header.timeout == 5
    assert query.header.dimensions == {"A": "b"}
    assert query.sql == "SELECT 1 /* not a header */ AS N"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "takes a header /* … */ with TOML, and one statement"),
        (f"/*\n{HEADER}\n*/\n", "takes a header"),
        ("/* hello */ SELECT 1", "header: "),
        ("/* */ SELECT 1", "header: namespace: missing"),
        (f"/*\n{HEADER}\nunit = 3\n*/ SELECT 1", "header: unit: got 3, takes text"),
        (f"/*\n{HEADER}\nunit = 'Cont'\n*/ SELECT 1", "header: unit: got 'Cont', takes one of"),
        (f"/*\n{HEADER}\nunits = 'Count'\n*/ SELECT 1", "header: unknown field: units"),
        (f"/*\n{HEADER}\ntimeout = 51\n*/ SELECT 1", "header: timeout: got 51, takes 1 to 50"),
        ("/*\nnamespace = 'AWS/RDS'\n*/ SELECT 1", "header: namespace: got 'AWS/RDS'"),
        ("/*\nnamespace = ':x'\n*/ SELECT 1", "header: namespace: got ':x'"),
        (f"/*\n{HEADER}\nmetrics = []\n*/ SELECT 1", "header: metrics: got []"),
        (f"/*\n{HEADER}\n[dimensions]\nA = 1\n*/ SELECT 1", "header: dimensions: got"),
        (
            f"/*\n{HEADER}\n[dimensions]\nEnvironment = 'x'\n*/ SELECT 1",
            "header: dimensions.Environment: got 'x', takes nothing: every metric has it already, ",
        ),
    ],
)
def test_a_bad_header_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "q.sql").write_text(text)
    with pytest.raises(InvalidQuery) as error:
        load("q", tmp_path)
    assert str(error.value).startswith(message)


def test_a_byte_order_mark_is_no_trouble_and_other_encodings_are_told(tmp_path):
    text = '/*\nnamespace = "RDS/X" # 件\n*/\nSELECT 1 AS N'
    (tmp_path / "marked.sql").write_text(text, encoding="utf-8-sig")
    assert load("marked", tmp_path).header.namespace == "RDS/X"
    (tmp_path / "other.sql").write_text(text, encoding="cp932")
    with pytest.raises(InvalidQuery, match=r"^takes UTF-8 \(line 2\)$"):
        load("other", tmp_path)
