"""Takes pictures of pages in Chromium, in an environment of its own: `tools/screenshots.py` runs it.

Reads one JSON object from standard input: `base`, `folder`, and `shots`, each with `path`, `key`, `door`, `file`,
`theme`, `width` and `height`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright  # type: ignore[import-not-found, unused-ignore]


def main() -> None:
    asked = json.load(sys.stdin)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        for shot in asked["shots"]:
            take(browser, asked, shot)
        browser.close()


def take(browser: Browser, asked: dict[str, Any], shot: dict[str, Any]) -> None:
    """One picture."""
    size = {"width": shot["width"], "height": shot["height"]}
    context = browser.new_context(color_scheme=shot["theme"], viewport=size)
    page = context.new_page()
    page.goto(f"{asked['base']}{shot['door']}")
    page.fill("input[name=credential]", shot["key"])
    page.click("main button")
    page.goto(f"{asked['base']}{shot['path']}")
    page.screenshot(path=str(Path(asked["folder"]) / shot["file"]))
    context.close()


if __name__ == "__main__":
    main()
