"""The page, as a person uses it."""

import json
import re
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from conftest import World, opened
from world import Demo, until


def live(page: Page) -> None:
    """Until the page has figures of a while."""
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    until("a chart", lambda: (page.locator("#traffic-chart path").first.get_attribute("d") or "").count("L") > 4)


def invalidate(world: World, **what: object) -> None:
    headers = {"Shelflife-Admin": "1"}
    request = urllib.request.Request(f"{world.demo.page}api/invalidate", json.dumps(what).encode(), headers)
    urllib.request.urlopen(request).read()


def test_the_figures_are_those_of_the_cache_and_they_move(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        path = page.locator("#traffic-chart path").first
        before = path.get_attribute("d")
        until("the chart moves", lambda: path.get_attribute("d") != before)
        ratio = float(re.sub(r"[^\d.]", "", page.locator("#ratio").inner_text()))
        stats = world.demo.now()["stats"]
        hits = stats["l1_hits"] + stats["l2_hits"]
        true = 100 * hits / (hits + stats["stale"] + stats["misses"])
        # One is of the last minute, the other of all the time.
        assert abs(ratio - true) < 25, (ratio, true)
        expect(page.locator("#tiers li")).to_have_count(4)
        expect(page.locator("#members tbody tr")).to_have_count(2)
        expect(page.locator("#members")).to_contain_text("this process")
        expect(page.locator("#members")).to_contain_text("open, 1")
        expect(page.locator("#store")).to_contain_text("waiting for a place")
        until("reasons", lambda: page.locator("#reasons tbody tr").count() > 0)
        assert page.title().endswith("· shelflife")


def test_what_is_hot_and_large_and_slow_is_named(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        expect(page.locator("#hot-keys tbody tr").first).to_contain_text("user:1")
        until("tags", lambda: page.locator("#hot-tags tbody tr").count() > 0)
        until("large ones", lambda: page.locator("#largest tbody tr").count() > 3)
        expect(page.locator("#latency .histogram").first).to_contain_text("Load from the source")
        expect(page.locator("#latency .histogram").first).to_contain_text(re.compile(r"p99\s*[\d.]+\s*(µs|ms|s)"))
        expect(page.locator("#store-memory")).to_contain_text(" of 64")
        page.locator("#hot-keys button").first.click()
        expect(page.locator("#entry .badge")).to_be_visible()


def test_a_search_finds_an_entry_and_says_why_it_is_as_it_is(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        world.demo.ask("GET", "/users/388")
        page.keyboard.press("/")
        expect(page.locator("#query")).to_be_focused()
        page.keyboard.type("user:388")
        expect(page.locator("#found li").first).to_have_text("user:388")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#found li").first).to_have_attribute("aria-selected", "true")
        page.keyboard.press("Enter")
        sheet = page.locator("#entry")
        expect(sheet.locator(".badge")).to_have_text(re.compile("fresh|stale"))
        expect(sheet.locator(".why")).to_contain_text(re.compile(r"(Fresh: stored|Stale: its time to live ended) \d+"))
        expect(sheet.locator(".tags")).to_contain_text("user:388")
        expect(sheet.locator("pre")).to_contain_text('"name"')
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()

        page.locator("#query").fill("nobody:1")
        page.keyboard.press("Enter")
        expect(sheet.locator(".badge")).to_have_text("absent")
        expect(sheet.locator(".why")).to_contain_text("Nothing is stored under this key")


def test_a_search_goes_on_where_a_page_of_keys_ended(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page, forgiven=("429", "503")) as page:
        live(page)
        found, note = page.locator("#found li"), page.locator("#found-note")

        def search(text: str, *answers: dict[str, object]) -> list[str]:
            """What is asked for a text, when the answers are these, the last one again and again."""
            asked: list[str] = []

            def answer(route: Route) -> None:
                cursor = re.search(r"cursor=(\w+)", route.request.url)
                asked.append(cursor[1] if cursor else "")
                route.fulfill(**answers[min(len(asked), len(answers)) - 1])

            page.unroute("**/api/keys?*")
            page.route("**/api/keys?*", answer)
            page.locator("#query").fill(text)
            return asked

        nothing_yet: dict[str, object] = {"json": {"keys": [], "cursor": "7"}}

        def at_last(key: str) -> dict[str, object]:
            return {"json": {"keys": [key], "cursor": None}}

        asked = search("far", nothing_yet, at_last("far:1"))
        expect(found).to_have_text(["far:1"])
        expect(note).to_have_text("")
        assert asked == ["", "7"]

        # Others are being served: it waits.
        refused: dict[str, object] = {"status": 429, "json": {"detail": "as many scans as may be"}}
        asked = search("fa", refused, nothing_yet, refused, at_last("far:2"))
        expect(found).to_have_text(["far:2"])
        expect(note).to_have_text("")
        assert asked == ["", "", "7", "7"]

        search("f", {"status": 503, "json": {"detail": "the store does not answer"}})
        expect(note).to_have_text("the store does not answer")
        expect(found).to_have_count(0)
        search("nobody", {"json": {"keys": [], "cursor": None}})
        expect(note).to_have_text("No key matches.")
        expect(found).to_have_count(0)


def test_a_search_that_takes_too_long_says_that_it_saw_a_part(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        page.clock.install()

        def answer(route: Route) -> None:
            # By the page's clock.
            page.clock.fast_forward(2000)
            route.fulfill(json={"keys": ["far:1"], "cursor": "7"})

        page.route("**/api/keys?*", answer)
        page.locator("#query").fill("far")
        expect(page.locator("#found-note")).to_contain_text("there may be more")
        expect(page.locator("#found li")).to_have_text(["far:1"])
        page.keyboard.press("ArrowDown")
        expect(page.locator("#found li")).to_have_attribute("aria-selected", "true")


def test_a_dry_run_counts_then_it_is_done_and_the_entry_is_dead_and_the_log_says_so(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        # Nobody reads that one meanwhile.
        world.demo.ask("GET", "/users/411")
        page.locator("#open-invalidate").click()
        box = page.locator("#invalidate")
        box.get_by_text("Tag", exact=True).click()
        page.locator("#wish-name").fill("user:411")
        page.locator("#go").click()
        expect(page.locator("#outcome")).to_contain_text("1 entry would be dead")
        expect(page.locator("#outcome .examples")).to_contain_text("user:411")
        expect(page.locator("#go")).to_have_text("Invalidate 1 entry")
        # Another wish has to be counted anew.
        page.locator("#wish-name").fill("user:41")
        expect(page.locator("#go")).to_have_text("Count what it would hit")
        page.locator("#wish-name").fill("user:411")
        page.locator("#go").click()
        expect(page.locator("#go")).to_have_text("Invalidate 1 entry")
        page.locator("#go").click()
        expect(page.locator("#outcome")).to_contain_text("Done: every process has applied it")
        expect(page.locator("#outcome code")).to_have_text(re.compile(r"^[0-9a-f]+:\d+$"))
        page.keyboard.press("Escape")
        expect(page.locator("#log li", has_text="user:411").first).to_contain_text("tag")

        page.locator("#query").fill("user:411")
        page.keyboard.press("Enter")
        sheet = page.locator("#entry")
        expect(sheet.locator(".badge")).to_have_text("dead")
        expect(sheet.locator(".why")).to_contain_text("its tag user:411 was invalidated after it was loaded")


def test_the_log_can_be_held_still(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        invalidate(world, tags=["before"])
        expect(page.locator("#log")).to_contain_text("before")
        page.locator("#pause").click()
        shown = page.locator("#log li").count()
        invalidate(world, tags=["while-held"])
        expect(page.locator("#pause")).to_have_text(re.compile(r"Go on \(\d+ new\)"))
        assert page.locator("#log li").count() == shown
        page.locator("#pause").click()
        expect(page.locator("#log")).to_contain_text("while-held")
        # Nothing of it is read out: it would never end.
        assert page.locator("#log").get_attribute("aria-live") is None


def test_names_that_mean_harm_stay_text(world: World, browser: Browser) -> None:
    harm = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
    with opened(browser, world.demo.page) as page:
        live(page)
        invalidate(world, tags=[harm], keys=[harm])
        expect(page.locator("#log li", has_text="<script>alert(2)").first).to_be_visible()
        page.locator("#query").fill(harm)
        page.keyboard.press("Enter")
        expect(page.locator("#entry .key")).to_contain_text("onerror=")
        page.keyboard.press("Escape")
        page.locator("#open-invalidate").click()
        page.locator("#wish-name").fill(harm)
        page.locator("#go").click()
        expect(page.locator("#outcome")).to_contain_text("0 entries would be dead")
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2


def test_it_follows_the_system_and_can_be_told_otherwise(world: World, browser: Browser) -> None:
    def paper(page: Page) -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    with opened(browser, world.demo.page, color_scheme="dark") as page:
        dark = paper(page)
        page.emulate_media(color_scheme="light")
        light = paper(page)
        assert dark != light
        switch = page.locator("#theme")
        for label, colour in [("light", light), ("dark", dark), ("dark", dark)]:
            if label not in (switch.get_attribute("aria-label") or ""):
                switch.click()
            expect(switch).to_have_attribute("aria-label", f"Theme: {label}")
            assert paper(page) == colour
        page.reload()
        assert paper(page) == dark, "it is remembered"
        switch.click()
        assert paper(page) == light, "as the system has it"


@pytest.mark.parametrize("width", [360, 768])
def test_a_narrow_window_is_wide_enough(world: World, browser: Browser, width: int) -> None:
    with opened(browser, world.demo.page, viewport={"width": width, "height": 740}) as page:
        live(page)

        def fits(what: str) -> None:
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{what}: {wide}"

        fits("the page")
        page.locator("#query").fill("user:1")
        page.keyboard.press("Enter")
        expect(page.locator("#entry .badge")).to_be_visible()
        fits("an entry")
        page.keyboard.press("Escape")
        page.locator("#open-invalidate").click()
        page.locator("#wish-name").fill("x" * 300)
        page.locator("#go").click()
        expect(page.locator("#outcome .count")).to_be_visible()
        fits("the box")


def test_everything_can_be_done_by_keyboard(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page) as page:
        live(page)
        seen: list[str] = []
        while "pause" not in seen:
            page.keyboard.press("Tab")
            name, ring, inside = page.evaluate(
                """() => {
                  const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
                  return [it.id || it.textContent.trim(), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                    box.width > 0 && box.bottom > 0 && box.top < innerHeight];
                }"""
            )
            assert len(seen) < 100, seen
            assert ring, f"no focus is to be seen at {name!r}"
            assert inside, f"the focus is out of sight at {name!r}"
            seen.append(name)
        order = ["Skip to the figures", "query", "open-invalidate", "theme", "user:1", "pause"]
        assert [name for name in dict.fromkeys(seen) if name in order] == order, seen

        page.keyboard.press("/")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#wish-name")).to_be_focused()
        page.keyboard.type("nobody:9")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_contain_text("0 entries would be dead")
        page.keyboard.press("Enter")
        expect(page.locator("#outcome")).to_contain_text("Done")
        page.keyboard.press("Escape")
        expect(page.locator("#invalidate")).to_be_hidden()
        expect(page.locator("#open-invalidate")).to_be_focused()


def test_a_ranking_that_is_refused_leaves_the_rest_as_it_is(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page, forgiven=("429",)) as page:
        refused = {"status": 429, "json": {"detail": "as many scans as may be are under way"}}
        page.route("**/api/largest?*", lambda route: route.fulfill(**refused))
        page.reload()
        page.evaluate(
            """() => {
              const state = document.getElementById("state");
              window.states = [];
              new MutationObserver(() => states.push(state.dataset.state)).observe(state, { attributes: true });
            }"""
        )
        live(page)
        with page.expect_response("**/api/largest?*"):
            pass
        with page.expect_response("**/api/now"):
            pass
        expect(page.locator("#hot-keys tbody tr").first).to_be_visible()
        assert "lost" not in page.evaluate("states")
        expect(page.locator("#state")).to_contain_text("Live")


def test_a_node_that_is_not_well_is_told_in_words(world: World, browser: Browser) -> None:
    def answer(route: Route) -> None:
        now = world.demo.now()
        now["stats"]["nodes"] = [
            {"address": f"10.0.0.{up}:6379", "connections": 2, "connections_up": up, "times_down": 1, "waiting": 0} for up in range(3)
        ]
        route.fulfill(json=now)

    with opened(browser, world.demo.page) as page:
        live(page)
        expect(page.locator("#store")).not_to_contain_text("Node")
        page.route("**/api/now", answer)
        expect(page.locator("#store")).to_contain_text("no connection: its circuit breaker is open, down 1 time so far")
        expect(page.locator("#store")).to_contain_text("Node 10.0.0.0:6379")
        expect(page.locator("#store")).to_contain_text("1 of 2 connections up")
        expect(page.locator("#store")).not_to_contain_text("10.0.0.2")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.unroute("**/api/now", answer)


def test_the_focus_stays_with_a_name_whose_rank_is_another(world: World, browser: Browser) -> None:
    names = ["first", "second"]

    def answer(route: Route) -> None:
        keys = [{"name": name, "reads": 1, "over": 0, "share": 0.1} for name in names]
        route.fulfill(json={"keys": keys, "tags": []})

    with opened(browser, world.demo.page) as page:
        page.route("**/api/hot?*", answer)
        shown = page.locator("#hot-keys button")
        expect(shown).to_have_text(["first", "second"])
        shown.nth(1).focus()
        names.reverse()
        expect(shown).to_have_text(["second", "first"])
        expect(shown.nth(0)).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(world: World, browser: Browser, scheme: str) -> None:
    def check(page: Page, what: str) -> None:
        found = Axe().run(page)
        assert found.violations_count == 0, f"{what}: {found.generate_report()}"

    with opened(browser, world.demo.page, color_scheme=scheme) as page:
        live(page)
        until("figures", lambda: page.locator("#latency .histogram").count() > 0)
        check(page, "the page")
        page.locator("#query").fill("user:")
        expect(page.locator("#found li").first).to_be_visible()
        check(page, "the search")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator("#entry .badge")).to_be_visible()
        check(page, "an entry")
        page.keyboard.press("Escape")
        page.locator("#open-invalidate").click()
        page.get_by_text("Pattern", exact=True).click()
        page.locator("#wish-name").fill("user:*")
        page.locator("#go").click()
        expect(page.locator("#outcome .examples")).to_be_visible()
        check(page, "the box")
        assert page.locator("h1").count() == 1
        assert page.locator("main").count() == page.locator("header").count() == page.locator("footer").count() == 1


def test_who_wants_little_motion_gets_none(world: World, browser: Browser) -> None:
    moving = "[...document.querySelectorAll('*')].filter((it) => getComputedStyle(it).transitionDuration.split(',').some((s) => parseFloat(s) > 0)).length"
    with opened(browser, world.demo.page, reduced_motion="reduce") as page:
        assert page.evaluate(moving) == 0
    with opened(browser, world.demo.page) as page:
        assert page.evaluate(moving) > 0


def test_a_lost_connection_is_told_and_mended(world: World, browser: Browser) -> None:
    with opened(browser, world.demo.page, forgiven=("net::ERR", "Failed to load resource")) as page:
        live(page)
        page.context.set_offline(True)
        expect(page.locator("#state")).to_have_attribute("data-state", "lost")
        expect(page.locator("#state")).to_contain_text("Connection lost")
        assert page.title().startswith("Connection lost")
        page.context.set_offline(False)
        expect(page.locator("#state")).to_have_attribute("data-state", "live")
        invalidate(world, tags=["after-the-break"])
        expect(page.locator("#log")).to_contain_text("after-the-break")


def test_a_token_is_asked_for_and_kept_by_the_browser_alone(world: World, browser: Browser) -> None:
    token = "0123456789-token"
    demo = Demo(world.command, world.directory, "guarded", "--admin-token", token)
    try:
        with opened(browser, demo.page, forgiven=("401",)) as page:
            page.get_by_label("Token").fill("0123456789-wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("not the token")
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Open").click()
            expect(page.locator("#state")).to_have_attribute("data-state", "live")
            (cookie,) = page.context.cookies()
            assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["path"] == "/_shelflife"
            assert token not in cookie["value"]
            assert page.evaluate("document.cookie") == ""
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            page.locator("#open-invalidate").click()
            page.locator("#wish-name").fill("nobody:1")
            page.locator("#go").click()
            page.locator("#go").click()
            expect(page.locator("#outcome")).to_contain_text("Done")
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Log out").click()
            expect(page.get_by_label("Token")).to_be_visible()
            assert page.context.cookies() == []
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
    finally:
        demo.end()


def test_without_a_server_the_page_says_what_there_is(world: World, browser: Browser) -> None:
    demo = Demo(world.command, world.directory, "embedded")
    try:
        demo.ask("GET", "/users/1")
        with opened(browser, demo.page) as page:
            expect(page.locator("#state")).to_contain_text("embedded store")
            demo.ask("PUT", "/users/1", {"name": "Ada", "city": "London"})
            expect(page.locator("#log")).to_contain_text("user_updated")
            expect(page.locator("#members-empty")).to_be_visible()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
    finally:
        demo.end()
