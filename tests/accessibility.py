"""axe-core on a page that is shown: what it finds serious is a failure of the test."""

from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Page

AXE = Path(__file__).parents[1] / "logsvc" / "web" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


async def expect_accessible(page: Page, *themes: Literal["light", "dark"]) -> None:
    """Fail if the page breaks a rule of WCAG 2.1 AA seriously, in these themes; none named: in both."""
    assert AXE.exists(), "axe-core is not there; get it with: npm ci, in logsvc/web"
    if not await page.evaluate("'axe' in window"):
        # By the debugger: the page's own policy takes no foreign script.
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    for theme in themes or ("light", "dark"):
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        found: list[dict[str, Any]] = await page.evaluate(
            "async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})).violations"
        )
        serious = [
            f"{one['id']} ({theme}): {node['html'][:160]} {node['failureSummary']}"
            for one in found
            if one["impact"] in SERIOUS
            for node in one["nodes"][:5]
        ]
        assert not serious, "\n".join(serious)
    await page.emulate_media(color_scheme=None)
