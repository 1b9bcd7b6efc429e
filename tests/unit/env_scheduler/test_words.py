import pytest

from common.events import parse
from env_scheduler import words

GOOD = {
    "kind": "ec2_instances", "changed": 12, "unchanged": 3, "pending": 2, "skips": 0,
    "skipped": [], "failures": 0, "failed": [], "retry": 0, "hours": 1000.0,
}  # fmt: skip
BAD = GOOD | {
    "kind": "rds_instances", "changed": 0, "unchanged": 0, "pending": 0, "failures": 22,
    "retry": 1, "skips": 1,
    "skipped": [{"name": "db-2", "reason": "is a read replica of db-1"}], "hours": 234.0,
    "failed": [{"name": "db <1>", "reason": "An error\nof AWS & co"}],
}  # fmt: skip
CAUGHT = {"kind": "ecs_services", "error": {"Error": "States.Timeout", "Cause": "too slow"}}


def results(*given):
    """Take results as an event has them."""
    return [parse(words.Result, one) for one in given]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            [
                "*Environments went to sleep* (office-hours)",
                "• EC2 instances: 12 went to sleep, 3 unchanged, 2 on the way",
                "• RDS instances: failed `db &lt;1&gt;` An error of AWS &amp; co",
                "• RDS instances: failed 22 more",
                "• RDS instances: skipped `db-2` is a read replica of db-1",
                "• ECS services: failed States.Timeout too slow",
                "Asleep this month: 1,234 hours (of each resource, added up)",
            ],
        ),
        (
            "ja",
            [
                "*環境を停止しました* (office-hours)",
                "• EC2 インスタンス: 12 件を停止, 変更なし 3 件, 処理中 2 件",
                "• RDS インスタンス: 失敗 `db &lt;1&gt;` An error of AWS &amp; co",
                "• RDS インスタンス: 失敗 ほか 22 件",
                "• RDS インスタンス: 対象外 `db-2` is a read replica of db-1",
                "• ECS サービス: 失敗 States.Timeout too slow",
                "今月の停止時間の合計: 1,234 時間 (リソースごとの合算)",
            ],
        ),
    ],
)
def test_the_summary(language, expected):
    text = words.summary("suspend", results(GOOD, BAD, CAUGHT), language, "office-hours")
    assert text.splitlines() == expected


def test_a_dry_run_has_a_title_of_its_own():
    planned = GOOD | {"changed": 0, "pending": 0, "planned": 12, "hours": 0}
    text = words.summary("start", results(planned), "ja", dry_run=True)
    assert text.splitlines() == [
        "*環境の起動の予行です (何も変更していません)*",
        "• EC2 インスタンス: 12 件を起動予定, 変更なし 3 件",
    ]


def test_a_summary_fits_the_cause_of_a_failure():
    long = BAD | {"failed": [{"name": "n" * 300, "reason": "&" * 300}] * 20}
    text = words.summary("suspend", results(*[long] * 5), "en")
    assert len(text) == words.LONGEST
    told = words.unposted(text, "timed out", "en")
    assert len(told) == words.LONGEST
    assert told.endswith("• Slack: failed timed out")


def test_failures_count_what_was_tried_in_vain_and_what_broke():
    assert words.failures(results(GOOD, BAD, CAUGHT)) == 22 + 1 + 1
    assert words.failures(results(GOOD)) == 0
