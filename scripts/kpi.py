"""Look at KPIs before BigQuery has them, and after: `python scripts/kpi.py ENV WHAT [NAME …]`.

`check [--day DAY]`: each query runs on ENV's database, in the function that will run it every day,
and nothing is written. Prints its columns, as declared and as they came, and the first rows.

`status --day DAY`: how many rows of a day are on S3 and in BigQuery, and when those came.

`backfill --from DAY --to DAY`: writes the files of many days to S3, from where they are loaded.

Without a NAME it is all KPIs. Each ends non-zero where something is wrong, and says what. On the
laptop `check` and `backfill` first deploy the functions, where a file has changed.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import build
import checks
import environment
from command import CommandError, run
from invoke import invoke
from logs import zone_of

sys.path.insert(0, str(build.FUNCTIONS))
from common.checks import source
from kpi_to_bigquery import kpis

FUNCTION = "kpi_to_s3"
LOADER = "s3_to_bigquery"
WHEN = {
    "status": "make kpi-status DAY=2026-11-22",
    "backfill": "make kpi-backfill FROM=2026-11-01 TO=2026-11-22",
}


def check(env: str, names: Sequence[str], day: str | None) -> int:
    """Check the KPIs, or all there are, print what came, and say whether it was well."""
    wrong = checks.broken(names or kpis.names(), kpis.load)
    for error in wrong.values():
        print(f"{error}\n")
    rest = [name for name in names or kpis.names() if name not in wrong]
    if rest:
        shell = checks.shell(env, FUNCTION)
        payload = {"check": True, "kpis": rest} | ({"day": day} if day else {})
        runs = environment.outputs(env).get("kpi_to_bigquery", {}).get("runs", [])
        for checked in invoke(FUNCTION, json.dumps(payload), shell)["checks"]:
            name = checked["kpi"]
            group = kpis.load(name).header.group
            if not scheduled(name, group, runs):
                print(f"{name}: no schedule runs its group {group!r} (kpi_to_bigquery.schedules)")
            print(report(checked, source(kpis.FOLDER, name), env))
            wrong |= {name: ""} if checked["errors"] else {}
    return 1 if wrong else 0


def status(env: str, names: Sequence[str], day: str) -> int:
    """Print where the KPIs of a day stand, and say whether all is well."""
    payload = {"status": True, "day": day} | ({"kpis": names} if names else {})
    environment.functions(env, LOADER)
    told = invoke(LOADER, json.dumps(payload), environment.shell(env))["status"]
    print("\n".join(standings(told, zone_of(environment.output(env, "functions")))))
    return 1 if any(one["wrong"] for one in told) else 0


def standings(told: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> list[str]:
    """Return where KPIs stand as lines for people, with the times of a zone."""
    rows = [
        (
            one["kpi"],
            _number(one["s3_rows"]),
            _number(one["bigquery_rows"]),
            one["loaded_at"]
            and f"{datetime.fromisoformat(one['loaded_at']).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}",
            f"WRONG: {one['wrong']}" if one["wrong"] else "",
        )
        for one in told
    ]
    head = ("kpi", "rows on S3", "in BigQuery", "loaded", "")
    return checks.table([head, *rows], right=(1, 2))


def backfill(env: str, names: Sequence[str], first: str, last: str) -> int:
    """Write the files of many days; InvokeError says from which day on there was no time."""
    payload = {"from": first, "to": last} | ({"kpis": names} if names else {})
    # The loader first: a file that comes to it of a KPI that it does not know is not loaded.
    done = invoke(FUNCTION, json.dumps(payload), checks.shell(env, LOADER, FUNCTION))
    print(f"{done['files']:,} files with {done['rows']:,} rows are on S3, and being loaded.")
    return 0


def scheduled(name: str, group: str, runs: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether one of the payloads `runs` of kpi_to_s3's schedules runs a KPI of a group."""
    return any(name in run.get("kpis", [name]) and group == run.get("group", group) for run in runs)


def report(checked: Mapping[str, Any], here: str, env: str) -> str:
    """Return what a check found as text for people; `here` is the `source` of this tree's file."""
    head = f"{checked['kpi']}"
    if "day" in checked:
        head += f"  {checked['day']}  {checked['rows']:,} rows"
    return checks.report(
        head, checks.another_file(checked, here, env, FUNCTION), checked, "declared"
    )


def _number(count: int | None) -> str | None:
    return None if count is None else f"{count:,}"


def main(*words: str) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("env")
    parser.add_argument("what", choices=["check", "status", "backfill"])
    parser.add_argument("--day", help="2026-11-22, say")
    parser.add_argument("--from", dest="first", help="a day")
    parser.add_argument("--to", dest="last", help="a day")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_intermixed_args(words)
    match asked.what:
        case "check":
            return check(asked.env, asked.names, asked.day)
        case "status" if asked.day:
            return status(asked.env, asked.names, asked.day)
        case "backfill" if asked.first and asked.last:
            return backfill(asked.env, asked.names, asked.first, asked.last)
    raise CommandError(f"say of when: {WHEN[asked.what]}")


if __name__ == "__main__":
    run(main)
