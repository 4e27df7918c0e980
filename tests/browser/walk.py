"""Goes over pages in Chromium, in an environment of its own: reads one JSON object from standard input, writes one.

In: `base`, and `link`, which is followed, or `paths`, `sign_in` (path and credential, or null) and `shots` (a folder,
or null). Out: what came of the link, or a list of what was found, one object for each page, theme and width.
"""

import json
import sys
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-not-found, unused-ignore]
from playwright.sync_api import Page, sync_playwright  # type: ignore[import-not-found, unused-ignore]

THEMES, WIDTHS = ("light", "dark"), (360, 1440)
SERIOUS = ("serious", "critical")
# The element that sticks out furthest, for whoever has to mend it.
WIDEST = """() => [...document.querySelectorAll('body *')]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => one.tagName + '.' + one.className).slice(0, 5)"""


def main() -> None:
    asked = json.load(sys.stdin)
    if "link" in asked:
        json.dump(entered(asked["base"], asked["link"]), sys.stdout)
        return
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        for theme in THEMES:
            context = browser.new_context(color_scheme=theme, viewport={"width": 1440, "height": 900})
            page = context.new_page()
            errors: list[str] = []
            page.on("console", lambda said, errors=errors: errors.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            if asked["sign_in"] is not None:
                path, credential = asked["sign_in"]
                page.goto(asked["base"] + path)
                page.fill("input[name=credential]", credential)
                page.click("main button")
            for path in asked["paths"]:
                for width in WIDTHS:
                    errors.clear()
                    found.append({"path": path, "theme": theme, "width": width} | looked_at(page, asked, path, width))
                    found[-1]["errors"] = list(errors)
                    if asked["shots"] is not None:
                        name = (
                            f"{path.partition('?')[0].strip('/').replace('/', '-')[:60] or 'first'}-{width}-{theme}.png"
                        )
                        page.screenshot(path=str(Path(asked["shots"]) / name), full_page=True)
            context.close()
        browser.close()
    json.dump(found, sys.stdout)


def entered(base: str, path: str) -> dict[str, Any]:
    """What a link of an app does, and what the scripts of pages do."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        context = browser.new_context(color_scheme="light")
        page = context.new_page()
        posts: list[str] = []
        page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
        page.goto(base + path)
        page.wait_for_url("**/me")
        page.click("[data-theme-switch]")
        page.reload()
        theme = page.evaluate("document.documentElement.dataset.theme")
        page.evaluate("document.querySelector('[data-live] .tile-figure').textContent = 'old'")
        page.get_by_text("old", exact=True).wait_for(state="detached", timeout=60_000)
        page.goto(base + "/me/data")
        for _ in range(2):  # the page stays, and what it has sent once may be sent again
            with page.expect_download(timeout=10_000):
                page.get_by_text("Export my data").click()
        page.goto(base + path)  # the code is used up
        page.wait_for_selector(".notice.bad")
        told = page.inner_text(".notice.bad")
        browser.close()
    return {"posts": [one.removeprefix(base) for one in posts], "theme": theme, "told": told}


def looked_at(page: Page, asked: dict[str, Any], path: str, width: int) -> dict[str, Any]:
    """One page at one width: with everything that is folded unfolded, too."""
    page.set_viewport_size({"width": width, "height": 900})
    answer = page.goto(asked["base"] + path)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    violations = [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in Axe().run(page).response["violations"]
        if one["impact"] in SERIOUS
    ]
    return {
        "status": answer.status if answer else 0,
        "ended_at": page.url.removeprefix(asked["base"]),
        "over": over,
        "widest": page.evaluate(WIDEST) if over > 0 else [],
        "violations": violations,
        "text": page.inner_text("body"),
        "made": page.evaluate("document.querySelectorAll('[data-hostile], .hostile').length"),
    }


if __name__ == "__main__":
    main()
