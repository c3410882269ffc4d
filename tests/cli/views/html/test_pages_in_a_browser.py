"""Pages in a real browser, without a window: drawn, quiet and self-contained at any width."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from fintts_cli.views.html.pages import compared_page, report_page
from report_samples import at_work, bare, ended, hostile, one_check

CHROMIUM = shutil.which("chromium-headless-shell")
PAGES: dict[str, tuple[Callable[[], str], int]] = {
    "ended": (lambda: report_page(ended()), 4),
    "at work": (lambda: report_page(at_work(), 600), 4),
    "hostile": (lambda: report_page(hostile()), 4),
    "bare": (lambda: report_page(bare()), 0),
    "one check": (lambda: report_page(one_check()), 1),
    "compared": (lambda: compared_page([ended(), at_work(), hostile()]), 1),
}
"""name → how it is made, and its charts"""
Scheme = Literal["light", "dark"]
WIDTHS = (1280, 390)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all pages; where it is not installed tests are skipped, but not on CI."""
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("not installed: chromium-headless-shell; make packages installs it")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def opened(browser: Browser, path: Path, width: int, scheme: Scheme, heard: list[str]) -> Page:
    """The page at a width, in a colour scheme; everything it says or asks for is heard."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda request: heard.append(f"request: {request.url}"))
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_and_asks_for_nothing(browser: Browser, name: str, tmp_path: Path) -> None:
    make, charts = PAGES[name]
    path = tmp_path / "report.html"
    path.write_text(make(), "utf-8")
    backgrounds: set[str] = set()
    for width in WIDTHS:
        for scheme in SCHEMES:
            heard: list[str] = []
            page = opened(browser, path, width, scheme, heard)
            assert heard == [f"request: {path.as_uri()}"]
            sizes = page.eval_on_selector_all(
                ".chart",
                "all => all.map(one => [...one.querySelectorAll('path')].map(line => {"
                " const box = line.getBoundingClientRect(); return [box.width, box.height] }))",
            )
            assert len(sizes) == charts
            assert all(wide > 5 for lines in sizes for wide, _ in lines)
            assert all(any(high > 5 for _, high in lines) for lines in sizes)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            page.context.close()
    assert len(backgrounds) == 2


def test_hostile_text_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(hostile()), "utf-8")
    heard: list[str] = []
    page = opened(browser, path, 1280, "light", heard)
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    text = page.evaluate("document.body.innerText")
    assert text.count("<script>window.hacked = 1</script><img src=https://evil") >= 8
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.evaluate("document.querySelectorAll('img, iframe, object, form').length") == 0
    assert heard == [f"request: {path.as_uri()}"]
    page.context.close()


def test_pointing_at_a_curve_reads_its_values(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(ended()), "utf-8")
    page = opened(browser, path, 390, "light", [])
    box = page.locator(".plot").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 900 / 2800, box["y"] + box["height"] / 2)
    read = page.locator("output").first.inner_text()
    assert read.startswith("training ")
    assert "validation 4.4 at step 900" in read
    page.context.close()
