"""A browser, and a running demo with traffic, for the tests of the page."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from world import PATIENCE, Clients, Demo, Redis

# What is expected comes with one of the page's looks, on a machine that may be busy. (`set_default_timeout` says nothing of this.)
expect.set_options(timeout=1000 * PATIENCE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--command", required=True, help="the command shelflife")
    parser.addoption("--chromium", required=True, help="a Chromium")
    parser.addoption("--shots", action="store_true", help="write the pictures of docs/images")


class World:
    """Two demos on one Redis, with traffic; the page is the first one's."""

    def __init__(self, command: str, stack: ExitStack) -> None:
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shelflife-page-")))
        self.command = command
        self.redis = Redis(self.directory)
        stack.callback(self.redis.end)
        times = ["--redis", self.redis.url, "--ttl", "4s", "--stale", "20s"]
        self.demo = Demo(command, self.directory, "first", *times)
        stack.callback(self.demo.end)
        self.second = Demo(command, self.directory, "second", *times)
        stack.callback(self.second.end)
        clients = Clients([self.demo, self.second])
        stack.callback(clients.end)


@pytest.fixture(scope="session")
def world(pytestconfig: pytest.Config) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(pytestconfig.getoption("--command"), stack)


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # The sandbox needs rights that a container does not give; nothing but our own page is opened.
        browser = playwright.chromium.launch(executable_path=pytestconfig.getoption("--chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, forgiven: tuple[str, ...] = (), **options: Any) -> Iterator[Page]:
    """A page in a browser of its own. At its end nothing may have been complained of, but for what is forgiven."""
    options.setdefault("viewport", {"width": 1280, "height": 900})
    context = browser.new_context(**options)
    complaints: list[str] = []
    context.expose_function("complain", lambda text: complaints.append(text))
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => complain(`CSP: ${e.violatedDirective} ${e.blockedURI}`))"
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda it: complaints.append(f"console: {it.text}") if it.type in ("error", "warning") else None)
    page.on("pageerror", lambda it: complaints.append(f"error: {it}"))
    page.on("dialog", lambda it: complaints.append(f"dialog: {it.message}"))
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    complaints = [it for it in complaints if not any(part in it for part in forgiven)]
    assert not complaints, complaints
