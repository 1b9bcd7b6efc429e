"""BigQuery's tab: tables, their days, the last loads."""

import datetime as dt
import re

import pytest
import requests
from google.cloud import bigquery
from playwright.sync_api import expect

from sandbox.bigquery_view import draw
from tests.sandbox.warehouse import DATASET, DAY, client, load, trusting_aws

SCRIPT = "<script>document.title='bad'</script>"
FIELDS = (("day", "DATE", "REQUIRED"), ("shop", "STRING"), ("orders", "INT64"), ("sum", "NUMERIC"))
WIDE = (("a", "INT64"), ("b" * 120, "STRING"))
FIRST = dt.date(2026, 10, 24)


@pytest.fixture(scope="module")
def sandbox(start_sandbox, tmp_path_factory):
    with (
        trusting_aws() as aws,
        start_sandbox(tmp_path_factory.mktemp("page"), aws=aws) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def bq(sandbox):
    with client(sandbox) as made:
        made.create_dataset("kpi")
        fill(made, days=12)
        load(made, "wide", f'a,b\n1,"{SCRIPT}"\n2,{"長" * 90}\n3,\n4,""\n', fields=WIDE)
        load(made, "sales$20261122", "day,shop,orders,sum\n2026-11-22,a,many,1\n", fields=FIELDS)
        yield made


def fill(bq, days, table="sales"):
    for n in range(days):
        day = FIRST + dt.timedelta(days=n)
        lines = "".join(
            f"{day},{shop},{40 + (n * 7 + i) % 13},{(n * 37 + i) % 100}.5\n"
            for i, shop in enumerate("abc")
        )
        text = f"day,shop,orders,sum\n{lines}"
        load(bq, f"{table}${day:%Y%m%d}", text, fields=FIELDS, time_partitioning=DAY)


def get(server, path="/bigquery", **headers):
    return requests.get(server.url + path, headers=headers, timeout=10)


def test_a_picture_has_a_bar_for_each_day_there_is():
    days = [(dt.date(2026, 11, day), value) for day, value in ((1, 2.0), (3, -2.0), (10, None))]
    graph = draw("sum", days)
    assert (graph.first, graph.last, graph.latest, graph.most) == ("11-01", "11-10", "-2", "-2")
    assert [(bar.x, bar.y, bar.width, bar.height) for bar in graph.bars] == [
        (4.0, 0.0, 32.0, 45.0),
        (84.0, 45.0, 32.0, 45.0),
    ]
    assert graph.bars[0].says == "2026-11-01: 2"
    assert draw("nan", [(dt.date(2026, 11, 1), float("nan"))]).bars == ()


def test_there_is_no_tab_before_there_is_a_table(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as server:
        assert "/bigquery" not in get(server, "/").text
        assert "No tables." in get(server).text


def test_tables_and_loads(sandbox, bq):
    assert 'id="tab-bigquery"' in get(sandbox, "/").text
    answer = get(sandbox)
    assert "Partitioned by the day of <b>day</b>: 12 days" in answer.text
    assert "36 rows" in answer.text
    assert "column_name: &#34;orders&#34;" in answer.text
    assert SCRIPT not in answer.text
    assert answer.text.count('class="graph"') == 3
    tag = answer.headers["ETag"]
    assert get(sandbox, **{"If-None-Match": tag}).status_code == 304
    assert get(sandbox, "/").headers["ETag"] != tag


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
def test_it_is_readable_with_little_room(sandbox, bq, look, scheme, width):
    page = look(
        sandbox,
        "/bigquery",
        viewport={"width": width, "height": 740},
        color_scheme=scheme,
    )
    expect(page).to_have_title("BigQuery · Mimamori inbox")
    expect(page.locator("[aria-current]")).to_have_id("tab-bigquery")
    card = page.locator("[id='table-kpi.sales']")
    expect(card.locator("rect")).to_have_count(36)
    expect(card.get_by_role("img").first).to_have_accessible_name(re.compile("rows by day from"))
    expect(page.locator("#loads .result.bad")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # The rows of a wide table are reached with the keyboard.
    wide = page.locator("[id='table-kpi.wide-rows']")
    wide.focus()
    expect(wide).to_be_focused()
    page.locator("[id='table-kpi.sales-schema-summary']").press("Enter")
    expect(card.locator(".fields li").first).to_contain_text("DATE, REQUIRED")


@pytest.mark.browser
def test_a_load_is_seen_without_a_reload(sandbox, bq, look):
    bq.create_table(bigquery.Table(f"{DATASET}.live", [bigquery.SchemaField("n", "INT64")]))
    page = look(sandbox, "/bigquery")
    card = page.locator("[id='table-kpi.live']")
    expect(card).to_contain_text("0 rows")
    page.evaluate("window.same = true")
    load(bq, "live", "n\n7\n", fields=(("n", "INT64"),))
    expect(card).to_contain_text("1 row")
    expect(card.locator("td")).to_have_text("7")
    assert page.evaluate("window.same")
