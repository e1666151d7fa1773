"""The pictures of docs/page.md: made only when they are asked for (`make page ARGS=--shots`)."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from conftest import World, opened
from test_page import live
from world import until

IMAGES = Path(__file__).parents[3] / "docs" / "images"

#: How long the charts are left to fill, in samples.
SAMPLES = 75


@pytest.fixture(autouse=True)
def wanted(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--shots"):
        pytest.skip("pictures are made by ARGS=--shots")
    IMAGES.mkdir(parents=True, exist_ok=True)


def full(page) -> None:
    live(page)
    points = page.locator("#traffic-chart path").first
    until("charts that say something", lambda: (points.get_attribute("d") or "").count("L") > 2 * SAMPLES, 180)


def test_pictures_on_a_desk(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        full(page)
        page.screenshot(path=IMAGES / "page-light.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=IMAGES / "page-dark.png", full_page=True)
        page.emulate_media(color_scheme="light")
        world.demo.ask("GET", "/users/391")
        page.locator("#query").fill("user:391")
        page.keyboard.press("Enter")
        expect(page.locator("#entry .badge")).to_be_visible()
        page.screenshot(path=IMAGES / "page-entry.png")
        page.keyboard.press("Escape")
        page.locator("#open-invalidate").click()
        page.get_by_text("Pattern", exact=True).click()
        page.locator("#wish-name").fill("user:*")
        page.locator("#go").click()
        expect(page.locator("#outcome .examples")).to_be_visible()
        page.screenshot(path=IMAGES / "page-invalidate.png")


def test_pictures_on_a_phone(world: World, browser: Browser) -> None:
    phone = {"width": 360, "height": 740}
    with opened(browser, world.demo.page, viewport=phone, device_scale_factor=1.5, has_touch=True) as page:
        full(page)
        page.screenshot(path=IMAGES / "page-phone.png", full_page=True)
