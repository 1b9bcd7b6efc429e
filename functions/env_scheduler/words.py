"""The summary of a run, for people, in Japanese or English. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from common.events import require
from common.mrkdwn import escaped
from env_scheduler.schedules import Action

Language = Literal["ja", "en"]
# Slack takes 40,000 characters, the cause of an execution's failure 32,768.
LONGEST = 30_000


@dataclass(frozen=True)
class _Words:
    title: dict[Action, str]
    dry_title: dict[Action, str]
    planned: dict[Action, str]
    changed: dict[Action, str]
    unchanged: str
    pending: str
    skipped: str
    left: str
    failed: str
    more: str
    hours: str
    nothing: str
    kinds: dict[str, str]


_WORDS: dict[Language, _Words] = {
    "ja": _Words(
        title={"suspend": "環境を停止しました", "start": "環境を起動しました"},
        dry_title={
            "suspend": "環境の停止の予行です (何も変更していません)",
            "start": "環境の起動の予行です (何も変更していません)",
        },
        planned={"suspend": "{n} 件を停止予定", "start": "{n} 件を起動予定"},
        changed={"suspend": "{n} 件を停止", "start": "{n} 件を起動"},
        unchanged="変更なし {n} 件",
        pending="処理中 {n} 件",
        skipped="対象外",
        left="変更しない",
        failed="失敗",
        more="ほか {n} 件",
        hours="今月の停止時間の合計: {n} 時間 (リソースごとの合算)",
        nothing="変更はありません",
        kinds={
            "rds_clusters": "Aurora クラスター",
            "rds_instances": "RDS インスタンス",
            "auto_scaling_groups": "Auto Scaling グループ",
            "ec2_instances": "EC2 インスタンス",
            "ecs_services": "ECS サービス",
        },
    ),
    "en": _Words(
        title={"suspend": "Environments went to sleep", "start": "Environments woke up"},
        dry_title={
            "suspend": "Dry run: what would go to sleep",
            "start": "Dry run: what would wake up",
        },
        planned={"suspend": "{n} would go to sleep", "start": "{n} would wake up"},
        changed={"suspend": "{n} went to sleep", "start": "{n} woke up"},
        unchanged="{n} unchanged",
        pending="{n} on the way",
        skipped="skipped",
        left="left alone",
        failed="failed",
        more="{n} more",
        hours="Asleep this month: {n} hours (of each resource, added up)",
        nothing="nothing changed",
        kinds={
            "rds_clusters": "Aurora clusters",
            "rds_instances": "RDS instances",
            "auto_scaling_groups": "Auto Scaling groups",
            "ec2_instances": "EC2 instances",
            "ecs_services": "ECS services",
        },
    ),
}


@dataclass(frozen=True)
class Named:
    """A resource, and why it is told of."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a kind: its counts, or the `error` that its step ended in (Catch's output).

    `plan`, `planned` and `left` are a dry run's; `reason` says why nothing was to be done.
    """

    kind: str
    changed: int = 0
    unchanged: int = 0
    pending: int = 0
    skips: int = 0
    skipped: list[Named] = field(default_factory=list)
    failures: int | None = None
    failed: list[Named] = field(default_factory=list)
    retry: int = 0
    hours: float = 0
    planned: int | None = None
    plan: list[Any] = field(default_factory=list)
    left: list[Named] = field(default_factory=list)
    reason: str | None = None
    error: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check that it is one of both. Raises InvalidEvent."""
        counted = (self.failures is None) != (self.error is None)
        require(counted, "results.failures", self.failures, "a number, unless there is an error")


def failures(results: Sequence[Result]) -> int:
    """Return how many failed; one for a kind whose step ended in an error."""
    return sum(1 if one.error else (one.failures or 0) + one.retry for one in results)


def summary(
    action: Action,
    results: Sequence[Result],
    language: Language,
    title: str = "",
    *,
    dry_run: bool = False,
) -> str:
    """Return the message's text: a line a kind where anything was, then the names of the rest.

    Of a dry run, what is left alone is named, too. At most LONGEST characters.
    """
    words = _WORDS[language]
    first = (words.dry_title if dry_run else words.title)[action]
    lines = [f"*{first}*" + (f" ({escaped(title)})" if title else "")]
    for one in results:
        kind = words.kinds.get(one.kind, one.kind)
        if one.error is not None:
            lines.append(f"• {kind}: {words.failed} {_said(_error(one.error))}")
            continue
        counted = [
            (words.planned[action], one.planned),
            (words.changed[action], one.changed),
            (words.unchanged, one.unchanged),
            (words.pending, one.pending),
        ]
        said = [form.format(n=number) for form, number in counted if number]
        if said:
            lines.append(f"• {kind}: {', '.join(said)}")
        lines += _listed(kind, words.failed, one.failed, failures([one]), words)
        if one.left:
            left = one.unchanged + one.pending + one.skips
            lines += _listed(kind, words.left, one.left, left, words)
        else:
            lines += _listed(kind, words.skipped, one.skipped, one.skips, words)
    if len(lines) == 1:
        lines.append(words.nothing)
    hours = sum(one.hours for one in results)
    if hours:
        lines.append(words.hours.format(n=f"{hours:,.0f}"))
    return "\n".join(lines)[:LONGEST]


def unposted(text: str, error: str, language: Language) -> str:
    """Return a summary that says that nobody was told it, and why."""
    line = f"\n• Slack: {_WORDS[language].failed} {_said(error)}"
    return text[: LONGEST - len(line)] + line


def _listed(kind: str, what: str, named: Sequence[Named], number: int, words: _Words) -> list[str]:
    lines = [f"• {kind}: {what} `{_said(one.name)}` {_said(one.reason)}" for one in named]
    if number > len(named):
        lines.append(f"• {kind}: {what} {words.more.format(n=number - len(named))}")
    return lines


def _error(caught: Mapping[str, Any]) -> str:
    return " ".join(str(caught[name]) for name in ("Error", "Cause") if name in caught) or "?"


def _said(text: str) -> str:
    return escaped(" ".join(text.split())[:300])
