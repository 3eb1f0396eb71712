"""The HTML report in a real Chromium: quiet, usable by mouse and keyboard, readable at any size and on paper."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.core.lifecycle import Phase
from orchestrator.report.after import After, BootKept, BootRow
from orchestrator.report.render import exit_code_of, render_report
from tests.browser import Browser, Page, chromium
from tests.report.contrast import TOO_FAINT
from tests.report.reports import STATES, large

Open = Callable[..., Page]
NAMES = [*STATES, "large"]
VISIBLE = "[...document.querySelectorAll('tbody tr')].filter(row => row.getClientRects().length).length"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


AFTER = After(
    undelivered=("sns:x: <b>denied</b>",),
    boots=(BootRow(place="s3://conf/<i>", result=BootKept.FAILED, message="Not allowed: s3:PutObject."),),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Render a run once, by its name."""
    folder = tmp_path_factory.mktemp("pages")

    def page(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            state = large(300) if name == "large" else STATES[name]()
            path.write_text(render_report(state, "html", exit_code_of(state), AFTER))
        return path

    return page


@pytest.fixture
def opened(browser: Browser, pages: Callable[[str], Path]) -> Iterator[Open]:
    tabs: list[Page] = []

    def page(name: str, **how: object) -> Page:
        tabs.append(browser.page(pages(name), **how))  # type: ignore[arg-type]  # by keyword
        return tabs[-1]

    yield page
    for tab in tabs:
        tab.close()


def column(page: Page, name: str) -> list[str]:
    """The texts of a column, from the top."""
    texts: list[str] = page.evaluate(
        "(name => { const at = [...document.querySelectorAll('thead th')].findIndex(e => e.textContent === name);"
        " return [...document.querySelectorAll('tbody tr')].map(row => row.cells[at].textContent.trim()); })"
        f"({json.dumps(name)})"
    )
    return texts


def sorting(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('thead th')].map(e => [e.textContent, e.ariaSort]))"
    )
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_quietly(name: str, opened: Open) -> None:
    """No error, no warning, no dialog, no request but for the page itself, nothing in it that is not ours."""
    page = opened(name)
    errors = page.events(
        "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening"
    )
    assert errors == []
    asked = [each["request"]["url"] for each in page.events("Network.requestWillBeSent")]
    assert [url.rpartition("/")[2] for url in asked] == [f"{name}.html"]
    assert page.evaluate("[document.scripts.length, document.styleSheets.length]") == [1, 1]
    assert (
        page.evaluate("document.querySelectorAll('img, iframe, object, embed, link, [onclick], [onerror]').length") == 0
    )


def test_the_policy_lets_nothing_else_in(opened: Open) -> None:
    """Should others' words ever become markup, they could load nothing, run nothing and style nothing."""
    page = opened("fine")
    blocked = page.evaluate(
        "new Promise(done => { const found = new Set();"
        " document.addEventListener('securitypolicyviolation', e => {"
        "   found.add(e.effectiveDirective); if (found.size === 5) done([...found].sort()); });"
        " setTimeout(() => done([...found].sort()), 5000);"
        " document.body.insertAdjacentHTML('beforeend',"
        '   \'<img src="http://127.0.0.1:9/x"><p style="color: red" onclick="window.ran = 1">x</p>\');'
        " const script = document.createElement('script');"
        " script.textContent = 'window.ran = 1'; document.body.append(script);"
        " document.body.lastElementChild.previousElementSibling.click();"
        " fetch('http://127.0.0.1:9/').catch(() => 0); })"
    )
    assert blocked == ["connect-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr"]
    assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("name", ["troubled", "halted", "broken_off", "large"])
def test_trouble_stands_on_the_first_screen(name: str, opened: Open) -> None:
    """At 1280 by 800 the result, what to do next, the first trouble, its reason and its instance need no scrolling."""
    page = opened(name)
    bottoms = page.evaluate(
        "['h1', '.next', 'article h3', 'article p', 'article li .id']"
        ".map(each => document.querySelector(each).getBoundingClientRect().bottom)"
    )
    assert bottoms == sorted(bottoms)
    assert bottoms[-1] <= 800
    assert page.evaluate("document.querySelector('article p').textContent.includes('Do: ')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["troubled", "fine", "interrupted"])
def test_every_text_has_contrast(name: str, scheme: str, opened: Open) -> None:
    """Each text, sign and placeholder has the ratio that WCAG AA wants against what lies behind it, in both schemes."""
    page = opened(name, scheme=scheme)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    found = page.evaluate(TOO_FAINT)
    assert found["seen"] > 100
    assert found["faint"] == []


def test_faint_text_would_be_found(opened: Open) -> None:
    """The check above can fail: text a little too grey is named."""
    page = opened("fine")
    page.evaluate(
        "document.querySelector('h1').style.color = '#777'; document.querySelector('.next').style.color = '#888'"
    )
    assert [each[0] for each in page.evaluate(TOO_FAINT)["faint"]] == ["Nothing to do."]


@pytest.mark.parametrize("width", [400, 768, 1024, 1600])
@pytest.mark.parametrize("name", ["troubled", "hostile", "large"])
def test_nothing_overflows(name: str, width: int, opened: Open) -> None:
    """From a telephone to a wide screen nothing needs sideways scrolling, and no text is cut at the page's edge."""
    page = opened(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate(
        "[...document.querySelectorAll('main *, header *')]"
        f".filter(e => !e.closest('svg') && e.getBoundingClientRect().right > {width}).map(e => e.outerHTML)"
    )
    assert beyond == []


@pytest.mark.parametrize("width", [1080, 1280, 1600])
def test_an_id_among_what_was_seen_stays_whole(width: int, opened: Open) -> None:
    """No word as long as a container's id is broken: it is copied from there."""
    page = opened("troubled", width=width)
    broken = page.evaluate(
        "[...document.querySelectorAll('tbody td:nth-child(6)')].flatMap(cell => {"
        "  const text = document.createTextNode('agent container 9f5f3c1b5cac stopped, was 78cd1ee57977; metadata');"
        "  cell.replaceChildren(text);"
        "  return [...text.data.matchAll(/\\w+/g)].filter(word => {"
        "    const range = document.createRange();"
        "    range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length);"
        "    return range.getClientRects().length > 1;"
        "  }).map(word => word[0]);"
        "})"
    )
    assert broken == []


def test_filter_and_sort_by_mouse(opened: Open) -> None:
    """Headers sort up, down, and back to the report's own order; outcome and words filter together."""
    page = opened("troubled")
    given = column(page, "Instance")
    page.click("thead th:nth-child(9) button")
    assert sorting(page)["Seconds"] == "ascending"
    seconds = [float(each or 0) for each in column(page, "Seconds")]
    assert seconds == sorted(seconds)
    page.click("thead th:nth-child(9) button")
    assert [float(each or 0) for each in column(page, "Seconds")] == sorted(seconds, reverse=True)
    assert list(sorting(page).values()).count("none") == 9
    page.click("thead th:nth-child(9) button")
    assert sorting(page)["Seconds"] == "none"
    assert column(page, "Instance") == given
    page.click("input")
    for letter in "eu-central rolled":
        page.press(letter)
    assert page.evaluate(VISIBLE) == 1
    assert page.evaluate("document.querySelector('output').textContent") == "1 of 14 instances"
    page.evaluate("document.querySelector('input').value = ''")
    for value, count in (("bad", 8), ("rolled_back", 2), ("updated", 6), ("", 14)):
        page.evaluate(
            f"(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('input', {{bubbles: true}})) }})"
            "(document.querySelector('select'))"
        )
        assert page.evaluate(VISIBLE) == count


def test_filter_and_sort_by_keyboard(opened: Open) -> None:
    """Tab reaches links, filter and headers in their order, focus is seen, and keys do what the mouse does."""
    page = opened("troubled")
    order = []
    for _ in range(60):
        page.press("Tab")
        order.append(page.evaluate("document.activeElement.tagName"))
        ring = page.evaluate(
            "(s => [s.outlineStyle, parseFloat(s.outlineWidth)])(getComputedStyle(document.activeElement))"
        )
        assert ring == ["solid", 3], order
        if order[-1] == "INPUT":
            break
    assert order[:-1] == ["A"] * (len(order) - 1)
    for letter in "watchdog":
        page.press(letter)
    assert page.evaluate(VISIBLE) == 1
    page.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.press("u")
    assert page.evaluate("document.activeElement.selectedOptions[0].textContent") == "unverified"
    assert page.evaluate(VISIBLE) == 0
    page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Instance"
    for key, wanted in (("Enter", "ascending"), (" ", "descending")):
        page.press(key)
        assert sorting(page)["Instance"] == wanted
    ids = column(page, "Instance")
    assert ids == sorted(ids, reverse=True)
    page.press("Tab", shift=True)
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_without_script_the_page_says_the_same(opened: Open) -> None:
    """Where no script may run, everybody stands in the table, and nothing pretends to filter or sort."""
    page = opened("troubled", script=False)
    assert page.evaluate(VISIBLE) == 14
    assert page.evaluate("document.querySelectorAll('button').length") == 0
    assert page.evaluate("document.querySelector('form').getClientRects().length") == 0


def test_it_prints_on_paper(opened: Open) -> None:
    """A4 pages in light colours, no row cut, the table's head on each of its pages, no controls, no sideways loss."""
    page = opened("large", scheme="dark")
    pdf = page.pdf()
    assert re.findall(rb"/MediaBox \[0 0 (\d+)\.\d+ (\d+)\.\d+\]", pdf)[0] == (b"594", b"841")
    assert len(re.findall(rb"/Type /Page\b", pdf)) > 5
    page.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.size(703, 1000)  # what A4 leaves between its margins
    assert page.evaluate("document.documentElement.scrollWidth") == 703
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(23, 28, 34)"
    styles = page.evaluate(
        "['tbody tr', 'article', 'figure', 'thead', '.filter', 'thead button']"
        ".map(e => getComputedStyle(document.querySelector(e))).map(s => [s.breakInside, s.display])"
    )
    assert [inside for inside, _ in styles[:4]] == ["avoid", "avoid-page", "avoid-page", "avoid"]
    # Chromium repeats a head whose cells hold text; a button in them would be painted once.
    assert [display for _, display in styles[3:]] == ["table-header-group", "none", "contents"]


def test_colour_is_never_alone(opened: Open) -> None:
    """Each outcome has its word and a sign of its own wherever it has a colour; phases differ by word and pattern."""
    page = opened("troubled")
    signs = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('tbody tr')].map(row =>"
        " [row.cells[3].textContent.trim().slice(1).trim(), row.cells[3].textContent.trim()[0]]))"
    )
    assert set(signs) == {"failed", "unverified", "rolled back", "unreachable", "refused", "skipped", "updated"}
    assert len(set(signs.values())) == len(signs)
    legend = page.evaluate("[...document.querySelectorAll('.legend li')].map(e => e.textContent.trim())")
    shown = [phase.value for phase in Phase if phase.value in legend]
    assert legend == [*shown, "did not end as wanted"]
    assert len(shown) >= 3
    fills = page.evaluate("[...document.querySelectorAll('.legend path')].map(e => getComputedStyle(e).fill)")
    assert len(set(fills)) == len(shown)


def test_five_thousand_instances_are_workable(browser: Browser, tmp_path: Path) -> None:
    """5,000 instances load, filter and sort; each costs less than a kilobyte; the picture is a handful of elements."""
    state = large(5000)
    path = tmp_path / "5000.html"
    path.write_text(render_report(state, "html", exit_code_of(state)))
    assert path.stat().st_size < 5000 * 1024
    page = browser.page(path)
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 5000
    assert page.evaluate("document.querySelectorAll('svg *').length") < 200
    page.click("input")
    for letter in "failed":
        page.press(letter)
    assert page.evaluate(VISIBLE) == 4
    page.click("thead th:nth-child(1) button")
    ids = column(page, "Instance")
    assert ids == sorted(ids)
    assert page.events("Runtime.exceptionThrown", "Log.entryAdded") == []
    page.close()


def test_a_link_leads_to_its_instance(opened: Open) -> None:
    """The evidence of a trouble leads to the row of just that instance, and its command to the Region's console."""
    page = opened("troubled")
    linked = page.evaluate(
        "[...document.querySelectorAll('.evidence .id')].map(e =>"
        " [e.textContent, document.querySelector(e.getAttribute('href')).cells[0].textContent])"
    )
    assert len(linked) == 8
    assert all(here == there for here, there in linked)
    url = "https://us-east-1.console.aws.amazon.com/systems-manager/run-command/cmd-7?region=us-east-1"
    assert url in page.evaluate("[...document.querySelectorAll('.evidence a')].map(e => e.href)")
