"""Take the pictures in docs/ anew, with Chromium, from the stack that `make demo` has filled."""

import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Error, sync_playwright

import demo
import environment
from invoke import InvokeError
from stack import ROOT, Stack, StackError

WIDTH, HEIGHT = 1240, 1640  # pixels
COLORS = 256  # a palette: a third of the size, and no difference to see
PATIENCE = 30_000  # milliseconds
# The page's policy lets Playwright poll no expression of ours.
DRAWN = """[...document.images].every((one) =>
  !one.src || one.complete || one.getBoundingClientRect().top > innerHeight)"""


def inbox(browser: Browser, stack: Stack) -> bytes:
    """Return the inbox page as PNG: all functions, graphs just posted, and a phone that rings."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
    )
    page.set_default_timeout(PATIENCE)
    page.goto(stack.sandbox_url)
    there = len([*(ROOT / "lambroll").glob("*.jsonnet")])
    page.locator(".function").nth(there - 1).wait_for()
    demo.call("cloudwatch_to_slack", "graphs", environment.shell("local"))
    demo.phone("web", "host_down", "web-1")
    page.wait_for_selector(".phone.ringing")
    page.evaluate("document.fonts.ready")
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(DRAWN):
        if time.monotonic() > deadline:
            raise demo.DemoError("the graphs in Slack's posts do not load: see make logs")
        page.wait_for_timeout(100)
    return page.screenshot()


def save(png: bytes, path: Path) -> None:
    """Write a picture with a palette, as small as it gets."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {picture.width} by {picture.height} pixels, {size:,} bytes")


def main() -> int:
    """Take them all."""
    program = shutil.which("chromium")
    if not program:
        print("Chromium is not installed: see scripts/install", file=sys.stderr)
        return 1
    try:
        stack = Stack.current()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu"]
            )
            save(inbox(browser, stack), ROOT / "docs/inbox.png")
            browser.close()
    except (StackError, InvokeError, demo.DemoError) as error:
        print(error, file=sys.stderr)
        return 1
    except Error as error:
        print(f"{error.message}\nRun make demo first, which fills the page.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
