"""Rows a second, CPU and memory of exports: ours, and what others would write.

One MariaDB on loopback, TLS on for all. Each reading is a process of its own; they take turns, so
that what else the machine does falls on all of them. The slow ones have fewer turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

import build
from bench import exports_picture, exports_place
from bench.exports_place import COLUMNS, Figures, Place
from stack import Stack

ROWS = 2_000_000
TURNS = (
    ("keys", "client", "lines", "cursor"),
    ("keys", "client", "sqlalchemy"),
    ("keys", "client", "lines", "cursor"),
    ("keys", "client", "plain", "pandas"),
    ("keys", "client", "lines"),
)
NAMES = {
    "keys": "ours, by keys",
    "lines": "ours, without a key",
    "plain": "ours, the plain way",
    "client": "mariadb --quick --batch (C)",
    "cursor": "PyMySQL SSCursor + csv.writer",
    "sqlalchemy": "SQLAlchemy, yield_per + csv.writer",
    "pandas": "pandas.read_sql, chunks + to_csv",
}
OURS = ("keys", "lines", "plain")
# Ratios of rows a second that are to be reached.
GOALS = (("keys", "cursor", 10), ("keys", "client", 0.9), ("lines", "client", 0.3))
PLACES = {"as CSV to S3": {"gzip": False}, "through gzip to S3": {"gzip": True}}
JOB_ROWS = 500_000  # some 40 MB of CSV: the laptop's AWS keeps files in memory
SIZES = (100_000, 1_000_000, 5_000_000)
MOST_PEAK, MOST_GROWTH = 100e6, 20e6


def run(stack: Stack) -> list[tuple[str, str]]:
    with exports_place.opened(stack, ROWS) as place:
        table = f"SELECT {COLUMNS} FROM people"
        taken: dict[str, list[Figures]] = {}
        for turn in TURNS:
            for reader in turn:
                found = place.read(reader, sql=table)
                if found.rows != ROWS:
                    raise RuntimeError(f"{reader}: {found.rows} rows of {ROWS}")
                taken.setdefault(reader, []).append(found)
        rows = _speeds(taken)
        with _query("bench_people", f"{table} WHERE id <= {JOB_ROWS}"):
            rows += _jobs(place)
        return rows + _memory(place)


def _speeds(taken: Mapping[str, Sequence[Figures]]) -> list[tuple[str, str]]:
    print(f"{ROWS:,} rows of 6 columns in MariaDB on loopback, TLS on for all; medians")
    rows = []
    middle = {name: median(one.speed for one in taken[name]) for name in NAMES}
    for name, title in NAMES.items():
        figures = taken[name]
        speeds = [one.speed for one in figures]
        noise = (max(speeds) - min(speeds)) / middle[name]
        cpu, server = (median(getattr(one, what) for one in figures) for what in ("cpu", "server"))
        peak = max(one.peak for one in figures) / 1e6
        print(
            f"{title:36} {middle[name] / 1e3:6,.0f} k rows/s (best {max(speeds) / 1e3:5,.0f},"
            f" spread {noise:3.0%} of {len(figures)})   CPU {cpu:5.2f} s, of the server"
            f" {server:4.2f} s   peak {peak:4.0f} MB",
            flush=True,
        )
        costs = f"CPU {cpu:.1f} s, of the server {server:.1f} s, {peak:.0f} MB"
        rows.append((f"Export, {title}", f"{middle[name] / 1e3:,.0f} k rows/s, {costs}"))
    for one, other, goal in GOALS:
        ratio = middle[one] / middle[other]
        best = max(a.speed for a in taken[one]) / max(a.speed for a in taken[other])
        others = f" (best {best:.2f}"
        if len(taken[one]) == len(taken[other]):
            pairs = [a.speed / b.speed for a, b in zip(taken[one], taken[other], strict=True)]
            others += f", turn by turn {min(pairs):.2f} to {max(pairs):.2f}"
        print(
            f"{NAMES[one]} / {NAMES[other]}: {ratio:.2f} x{others}), goal of {goal} x"
            f" {'met' if ratio >= goal else 'MISSED'}"
        )
        rows.append((f"Export, {NAMES[one]} / {NAMES[other]}", f"{ratio:.2f} x"))
    picture = build.ROOT / "docs/exports.svg"
    picture.parent.mkdir(exist_ok=True)
    bars = [(title, middle[name], name in OURS) for name, title in NAMES.items()]
    exports_picture.draw(picture, f"rows a second, {ROWS:,} rows of 6 columns", bars)
    return rows


def _jobs(place: Place) -> list[tuple[str, str]]:
    rows = []
    taken: dict[str, list[Figures]] = {title: [] for title in PLACES}
    for number in range(3):
        for title, how in PLACES.items():
            message = _message(f"{number}-{how['gzip']}", "bench_people", gzip=how["gzip"])
            taken[title].append(place.read("job", message=message))
            place.forget(message)
    for title, figures in taken.items():
        speed = median(one.speed for one in figures)
        peak = max(one.peak for one in figures)
        print(
            f"a job of {JOB_ROWS:,} rows {title:18} on the laptop's AWS {speed / 1e3:4,.0f} k rows"
            f"/s   peak {peak / 1e6:.0f} MB ({'within' if peak <= MOST_PEAK else 'OVER'} 100 MB)"
        )
        rows.append(
            (
                f"Export, a job of {JOB_ROWS:,} rows {title}",
                f"{speed / 1e3:,.0f} k rows/s, {peak / 1e6:.0f} MB",
            )
        )
    return rows


def _memory(place: Place) -> list[tuple[str, str]]:
    peaks: dict[str, list[float]] = {}
    for size in SIZES:
        made = exports_place.made(size)
        for way in ("keys", "lines"):
            peaks.setdefault(NAMES[way], []).append(place.read(way, sql=made).peak / 1e6)
        with _query("bench_made", made):
            message = _message(f"made-{size}", "bench_made", gzip=True)
            # Only the parts go to another S3; the table of jobs is the laptop's.
            found = place.read("job", message=message, sink=True)
        peaks.setdefault("a job through gzip", []).append(found.peak / 1e6)
    rows = []
    sizes = " / ".join(f"{size:,}" for size in SIZES)
    for title, figures in peaks.items():
        growth = max(figures) - min(figures)
        said = " / ".join(f"{peak:.0f}" for peak in figures)
        met = growth * 1e6 <= MOST_GROWTH and max(figures) * 1e6 <= MOST_PEAK
        print(
            f"{title:20} {sizes} rows: peak {said} MB, {growth:.0f} MB apart, goal of 20 MB apart"
            f" and 100 MB at the most {'met' if met else 'MISSED'}"
        )
        rows.append((f"Export, {title}, peak memory of {sizes} rows", f"{said} MB"))
    return rows


def _message(job_id: str, query: str, *, gzip: bool) -> dict[str, object]:
    asked = {"job_id": job_id, "query": query, "mail_to": "a@example.com"}
    return asked | {"gzip": gzip, "bom": False}


@contextmanager
def _query(name: str, sql: str) -> Iterator[None]:
    """Leave data_export a query of this name, in this copy of the tree."""
    path = build.FUNCTIONS / f"data_export/queries/{name}.sql"
    path.write_text(f'/*\nkey = "id"\n*/\n{sql}\n', encoding="utf-8")
    try:
        yield
    finally:
        path.unlink()
