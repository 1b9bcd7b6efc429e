import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import expect, sync_playwright

import lifecycle
import processes
from stack import ROOT, Stack
from tests.support import served_ministack

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Hypothesis gives a test the same input each time, until the test is changed, and no test fails for
# being slow: what is red was made so by a change. `make explore` looks further, at new input.
settings.load_profile("ci")
settings.register_profile(
    "explore",
    settings.get_profile("default"),
    max_examples=1000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# What a page is to show is waited for, however slow the machine.
expect.set_options(timeout=30_000)
# Each of pytest's workers has ports of its own.
FIRST_PORT = 5100 + 400 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
# What shares a stack, a database, a plan or zips stays with one worker; elsewhere a file does.
TOGETHER = ("e2e", "local", "database", "package", "terraform")
# But the whole stack comes up three times, for a third of its tests each: most of that is waiting.
# And the modules' own tests share nothing with the plans.
APART = {
    "e2e/test_exports.py": "e2e-2",
    "e2e/test_troubles.py": "e2e-2",
    "e2e/test_kpis.py": "e2e-3",
    "e2e/test_phones.py": "e2e-3",
    "e2e/test_scheduler.py": "e2e-3",
    "terraform/test_modules.py": "terraform-2",
}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(ROOT / "tests")
        group = path.parts[0] if path.parts[0] in TOGETHER else str(path)
        group = APART.get(str(path), group)
        if server := getattr(item, "callspec", None) and item.callspec.params.get("server"):
            group = f"{group}-{server}"  # each with a database of its own
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where a group would not stay together: each worker would make a stack of its own."""
    if getattr(session.config.option, "loadgroup", False):  # set in the workers alone
        assert all("@" in item.nodeid for item in session.items), "pytest-xdist keeps no groups"


class Spans:
    """When the tests of each group ran: at the end of a run it prints how long each took.

    A group is what stays with one worker; elsewhere, a folder.
    """

    def __init__(self) -> None:
        self.of: dict[str, list[pytest.TestReport]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        folder, group = report.nodeid.split("/")[1], report.nodeid.rpartition("@")[2]
        together = folder in TOGETHER and group.startswith(folder)
        self.of.setdefault(group if together else folder, []).append(report)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("time of each group: from its first test to its last, and at work")
        for group, reports in self.of.items():
            wall = max(one.stop for one in reports) - min(one.start for one in reports)
            work = sum(one.duration for one in reports)
            tests = len({one.nodeid for one in reports})
            terminalreporter.write_line(f"{wall:7.1f} s {work:7.1f} s  {group} ({tests:,} tests)")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # one report, by the process that the person started
        config.pluginmanager.register(Spans())


def _free_stacks() -> Iterator[Stack]:
    for port in range(FIRST_PORT, FIRST_PORT + 400, 4):
        candidate = Stack(port=port)
        if not candidate.folder.exists() and not any(processes.holder(port + i) for i in range(4)):
            yield candidate


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Callable[[], Stack]]:
    """Hand out stacks on free ports, not started; all of them are gone at the end."""
    given: list[Stack] = []

    def one() -> Stack:
        stack = next(_free_stacks())
        stack.folder.mkdir(mode=0o700, parents=True)
        given.append(stack)
        return stack

    yield one
    for stack in given:
        lifecycle.stop(stack, lambda _: None)
        shutil.rmtree(stack.folder)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS of this session's own, with IAM enforced and no stack around it."""
    with served_ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = shutil.which("chromium")
    if not program and os.environ.get("CI") != "true":
        pytest.skip("Chromium is not installed: the page was not looked at")
    assert program, "Chromium is not installed"
    # What it keeps of itself goes into a home of its own, not into the person's.
    home = str(tmp_path_factory.mktemp("chromium"))
    environ = os.environ | {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, env=environ)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium):
    """Return a function that opens a page; at the end nothing odd may have happened on any."""
    odd, asked, origins = [], [], []
    with contextlib.ExitStack() as contexts:

        def open_page(server, path="/", **options):
            options = {"viewport": {"width": 1000, "height": 800}, **options}
            context = chromium.new_context(**options)
            contexts.callback(context.close)
            page = context.new_page()
            page.on("console", lambda m: odd.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: odd.append(str(error)))
            page.on("dialog", lambda dialog: (odd.append(dialog.message), dialog.dismiss()))
            page.on("request", lambda request: asked.append(request.url))
            for pattern, picture in open_page.played.items():
                page.route(pattern, functools.partial(_play, picture))
            origins.append(server.url)
            page.goto(server.url + path)
            return page

        open_page.odd, open_page.asked = odd, asked
        open_page.played = {}  # pictures (PNG) by the pattern of their address
        yield open_page
    assert odd == []
    assert [url for url in asked if not url.startswith(tuple(origins))] == []


def _play(picture, route):
    route.fulfill(body=picture, content_type="image/png")
