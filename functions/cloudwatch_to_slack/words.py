"""The comment on the graphs, for people, in Japanese or English."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cloudwatch_to_slack.findings import Finding, Part, number
from cloudwatch_to_slack.graphs import Graph
from common.mrkdwn import escaped

Language = Literal["ja", "en"]


@dataclass(frozen=True)
class _Words:
    separator: str
    no_data: str
    silent_since: str
    before: dict[str, str]
    before_any: str
    reached: str
    ahead: str
    to_go: str
    not_drawn: str


_WORDS = {
    "ja": _Words(
        separator="、",
        no_data="データがありません",
        silent_since="{time} からデータがありません",
        before={"day": "前日比", "week": "前週比", "month": "前月比", "3months": "前の3か月比"},
        before_any="前の期間比",
        reached="目標 {target} に到達",
        ahead="目標 {target} を {gap} 上回っています",
        to_go="目標 {target} まであと {gap}",
        not_drawn="グラフを描けませんでした",
    ),
    "en": _Words(
        separator=", ",
        no_data="no data",
        silent_since="no data since {time}",
        before={
            "day": "vs the day before",
            "week": "vs the week before",
            "month": "vs the month before",
            "3months": "vs the 3 months before",
        },
        before_any="vs the period before",
        reached="target {target} reached",
        ahead="{gap} ahead of the target {target}",
        to_go="{gap} to go to the target {target}",
        not_drawn="the graph could not be drawn",
    ),
}


def comment(
    parts: Sequence[Part], not_drawn: Collection[str], language: Language, now: datetime
) -> str:
    """Return the message's text: some lines a graph. `not_drawn` has titles of graphs."""
    lines = []
    for part in parts:
        lines.append(f"*{escaped(part.title)}*")
        lines += [escaped(line) for line in _lines(part, language, now)]
        if part.title in not_drawn:
            lines.append(_WORDS[language].not_drawn)
    return "\n".join(lines)


def description(part: Part, language: Language, now: datetime) -> str:
    """Return what a graph shows, for those who cannot see it: plain text, its title first."""
    return "\n".join([part.title, *_lines(part, language, now)])


def _lines(part: Part, language: Language, now: datetime) -> list[str]:
    said = [_said(part.graph, finding, _WORDS[language], now) for finding in part.findings]
    if len(said) == 1:
        return said
    return [f"• {one.title}: {words}" for one, words in zip(part.findings, said, strict=True)]


def _said(graph: Graph, finding: Finding, words: _Words, now: datetime) -> str:
    if finding.latest is None:
        return words.no_data
    said = [number(finding.latest)]
    if graph.compare != "nothing":
        said.append(f"{words.before.get(graph.range, words.before_any)} {_change(finding)}")
    if graph.target is not None:
        said.append(_against(graph.target, finding.latest, words))
    if finding.silent_since is not None:
        said.append(words.silent_since.format(time=_clock(finding.silent_since, now)))
    return words.separator.join(said)


def _change(finding: Finding) -> str:
    if finding.change is None:
        return "n/a"
    percent = finding.change_in_percent
    return f"{number(finding.change, '+')} ({'n/a' if percent is None else f'{percent:+,.1f}%'})"


def _against(target: float, latest: float, words: _Words) -> str:
    form = words.reached if latest == target else words.ahead if latest > target else words.to_go
    return form.format(target=number(target), gap=number(abs(latest - target)))


def _clock(time: datetime, now: datetime) -> str:
    local = time.astimezone(now.tzinfo)
    return f"{local:%H:%M}" if local.date() == now.date() else f"{local:%m-%d %H:%M}"
