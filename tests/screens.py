"""Take the pictures of the HTML report that docs/screens/ shows: `python -m tests.screens`. Look at them afterwards."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.core.state import RunState
from orchestrator.report.render import exit_code_of, render_report
from tests.browser import Browser, chromium
from tests.report.reports import showcase

SCREENS = Path(__file__).parent.parent / "docs" / "screens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """One picture: of which fleet, how large, in which scheme, for screen or paper; `at`: what stands at its top."""

    name: str
    count: int = 16
    width: int = 1280
    height: int = 800
    scheme: str = "light"
    media: str = "screen"
    at: str = "header"


ALL = (
    Screen(name="report", height=1120),
    Screen(name="report-dark", height=1120, scheme="dark"),
    Screen(name="report-400", width=400, height=1100),
    Screen(name="report-400-table", width=400, height=1100, scheme="dark", at="#all"),
    Screen(name="report-1600-table", width=1600, height=900, at="#all"),
    Screen(name="report-print", width=703, height=1000, media="print"),
    Screen(name="report-5000", count=5000),
    Screen(name="report-5000-timeline", count=5000, height=1000, at="#timeline"),
    Screen(name="report-5000-timeline-dark", count=5000, height=1000, scheme="dark", at="#timeline"),
)


def page_of(state: RunState, folder: Path) -> Path:
    """Render a run into a file."""
    path = folder / f"{len(state.instances)}.html"
    path.write_text(render_report(state, "html", exit_code_of(state)))
    return path


def take(browser: Browser, page: Path, screen: Screen) -> None:
    """Take one picture."""
    tab = browser.page(page, width=screen.width, height=screen.height, scheme=screen.scheme)
    if screen.media != "screen":
        tab.call("Emulation.setEmulatedMedia", media=screen.media)
    tab.evaluate(f"document.querySelector('{screen.at}').scrollIntoView()")
    tab.screenshot(SCREENS / f"{screen.name}.png")
    tab.close()


def main() -> None:
    """Take all pictures anew."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        pages = {count: page_of(showcase(count), Path(folder)) for count in {screen.count for screen in ALL}}
        for screen in ALL:
            take(browser, pages[screen.count], screen)


if __name__ == "__main__":
    main()
