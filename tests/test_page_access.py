"""The page for everyone: with a screen reader, with the keyboard, without motion, on a phone."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import LONG, open_page
from playwright.sync_api import Browser, Page, expect
from served import Served

pytestmark = pytest.mark.browser
TABS = "#deeper-tabs button[role=tab]:visible"
WIDTHS = (1680, 1440, 1280, 1024, 390)


@pytest.fixture(scope="module")
def run(server: Served) -> str:
    """A short run of the first lesson, at rest."""
    return server.short_run("stories")


@pytest.fixture
def still(browser: Browser, server: Served) -> Iterator[Page]:
    """A page whose reader asked for less motion."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    open_page(page, server.url)
    yield page
    context.close()


def explored(page: Page, server: Served, run: str) -> None:
    open_page(page, f"{server.url}?run={run}")
    page.wait_for_selector("#head .main-svg", timeout=LONG)


def open_all(page: Page) -> None:
    """Every accordion on the page."""
    closed = page.locator("button.label-wrap:not(.open):visible")
    for _ in range(8):  # An answer that was on its way may close one again.
        if closed.count():
            closed.first.click()
            page.wait_for_timeout(200)
    expect(closed).to_have_count(0)


def faults(page: Page, state: str) -> list[str]:
    """What axe-core calls serious or critical, in both themes, each in a line."""
    found = []
    for theme in ("light", "dark"):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        for fault in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found += [f"{state}, {theme}: {fault['help']}: {node['target']} {node['html'][:120]}"
                          for node in fault["nodes"]]  # fmt: skip
    return found


def test_axe_finds_nothing_serious_on_a_fresh_page(still: Page) -> None:
    found = faults(still, "fresh")
    open_all(still)
    still.click("#lesson input")
    found += faults(still, "accordions and a list open")
    assert found == [], "\n".join(found)


def test_axe_finds_nothing_serious_on_what_is_explored(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    still.click(".mg-offer")
    still.wait_for_selector(".mg-guide")
    found = faults(still, "explored, guide open")
    assert found == [], "\n".join(found)


def test_axe_finds_nothing_serious_in_any_tab(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    found = []
    for name in still.locator(TABS).all_inner_texts():
        still.locator(TABS, has_text=name).click()
        still.wait_for_timeout(1000)  # Each tab fills itself in its own way.
        found += faults(still, f"tab {name}")
    assert found == [], "\n".join(found)


# The name of the focused control, and whether it or what stands around it has a ring.
FOCUS = """() => { const at = document.activeElement;
    if (!at || at === document.body) return null;
    const drawn = (e) => e && getComputedStyle(e).outlineStyle !== 'none' &&
        parseFloat(getComputedStyle(e).outlineWidth) > 1;
    const name = (at.getAttribute('aria-label') || at.labels?.[0]?.innerText || at.innerText || '').trim();
    return [name.split('\\n')[0], [at, at.closest('label'), at.closest('.wrap')].some(drawn)] }"""


def walk(page: Page) -> list[tuple[str, bool]]:
    """Every control that the Tab key comes to, from the top of the page to its end."""
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0) }")
    page.mouse.click(2, 2)
    seen = []
    for _ in range(400):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUS)
        if focused is None:
            return seen
        seen.append(tuple(focused))
    raise AssertionError(f"the focus never left the page; last at {seen[-5:]}")


def test_the_tab_key_reaches_every_control_and_each_shows_where_it_is(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    open_all(still)
    seen = walk(still)
    names = [name for name, _ in seen]
    expected = """Language, Dark / light, Lesson, Guide me, Text to learn from, Open a file, Clear, words, letters,
        pieces, Change this lesson, Write the text anew, Train, Step, Size, Layers, Heads, Width, Context, Positions,
        Steps, Batch, Learning rate, Optimiser, Seed, one layer, Prompt, Generate, probability, surprise, attention,
        once, Back, Play, Next, Tokens, Temperature"""
    expected = [name.strip() for name in expected.split(",")]
    assert [name for name in expected if name not in names] == []
    assert any(name.startswith("Attention of all heads") for name in names)
    tabs = still.locator(TABS).all_inner_texts()
    assert any(name in names for name in tabs)
    assert [name for name, ring in seen if not ring] == []
    assert [name for name in names if not name] == []
    # No list stays open behind the focus, and passing by chooses nothing: run, settings and all are as they were.
    expect(still.locator("ul[role=listbox]")).to_have_count(0)
    assert f"run={run}" in still.url
    assert still.input_value("#steps input") == "6"
    expect(still.locator("#explored")).to_be_visible()


def test_the_keyboard_alone_opens_another_head_and_walks_along_the_text(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    title = still.locator("#head-title")
    for key, layer, head in (("ArrowUp", 1, None), ("ArrowLeft", 1, 1), ("ArrowRight", 1, 2), ("ArrowDown", 2, 2)):
        still.focus("#heads-grid .mg-plot")
        still.keyboard.press(key)
        expect(title).to_contain_text(f"Layer {layer} head {head or ''}")
    expect(still.locator("#heads-grid .mg-plot")).to_be_focused()
    expect(still.locator("#heads-grid .mg-plot")).to_have_attribute("aria-label", "Attention of all heads: 2 layers of "
        "2 heads, 23 tokens, layer 2 head 2 selected. Arrow keys choose another.")  # fmt: skip
    still.focus("#colour input >> nth=0")
    still.keyboard.press("ArrowRight")
    expect(still.locator("#continuation .surprise")).to_have_count(1)
    still.focus("#forward")
    chosen = still.locator("#continuation .t.on")
    before = int(chosen.get_attribute("data-index") or 0)
    still.keyboard.press("Enter")
    expect(chosen).to_have_attribute("data-index", str(before + 1))


def test_the_guide_takes_the_focus_and_lets_it_go(still: Page) -> None:
    still.focus(".mg-offer")
    still.keyboard.press("Enter")
    expect(still.locator(".mg-guide")).to_be_focused()
    names = [name for name, _ in walk(still)]
    assert "Train" in names, "the card is a wall"
    assert "Close" in names
    still.focus(".mg-guide")
    still.keyboard.press("Escape")
    expect(still.locator(".mg-guide")).to_have_count(0)


def test_who_asked_for_less_motion_gets_none(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    moving = """() => [...document.querySelectorAll('*')].filter((e) => [null, '::before', '::after'].some((part) => {
        const s = getComputedStyle(e, part);
        return s.animationName !== 'none' || s.transitionDuration.split(',').some((t) => parseFloat(t) > 0) }))
        .map((e) => e.outerHTML.slice(0, 80))"""
    assert still.evaluate(moving) == []
    chosen = still.locator("#continuation .t.on")
    before = int(chosen.get_attribute("data-index") or 0)
    still.click("#play")
    expect(chosen).to_have_attribute("data-index", str(before + 1))
    still.wait_for_timeout(1500)
    expect(chosen).to_have_attribute("data-index", str(before + 1))
    expect(still.locator("#play")).to_have_text("Play")


def test_every_figure_says_what_it_shows(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    for plot in still.locator(".mg-plot:visible").all():
        label = plot.get_attribute("aria-label") or ""
        assert len(label) > 20, label
        assert plot.get_attribute("role") in ("img", "application")
        assert "http" not in label


def test_nothing_sticks_out_at_any_width_in_any_language(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    open_all(still)
    script = """() => [document.scrollingElement.scrollWidth - innerWidth, ...[...document.querySelectorAll(
        '#reading > *, #scrub > *, .mg-panel button:not(.mg-picks *, .t), .mg-panel label')].filter((e) => {
            const box = e.getBoundingClientRect(), panel = e.closest('.mg-panel').getBoundingClientRect();
            return box.width && getComputedStyle(e).visibility !== 'hidden'
                && !e.closest('.hide, .visually-hidden, .mg-scroll, .mg-switches')
                &&
                (box.right > panel.right + 1 || box.left < panel.left - 1) }).map((e) => e.outerHTML.slice(0, 90))]"""
    wrong = {}
    for code in ("en", "de", "fr"):
        still.select_option("#language select", code)
        expect(still.locator("html")).to_have_attribute("lang", code)
        for width in WIDTHS:
            still.set_viewport_size({"width": width, "height": 900})
            for _ in range(20):  # Tabs that find no room move into their menu a moment later.
                still.wait_for_timeout(300)
                over, *outside = still.evaluate(script)
                if over <= 0 and not outside:
                    break
            else:
                wrong[code, width] = (over, outside)
    assert wrong == {}


def test_on_a_phone_no_two_things_of_a_row_lie_on_each_other(still: Page, server: Served, run: str) -> None:
    explored(still, server, run)
    script = """() => ['#reading', '#scrub', '#ask', '#topbar'].flatMap((id) => {
        const boxes = [...document.querySelector(id).children].map((e) => e.getBoundingClientRect())
            .filter((b) => b.width);
        return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => a.left < b.right - 1 && b.left < a.right - 1 &&
            a.top < b.bottom - 1 && b.top < a.bottom - 1).map(() => id)) })"""
    for width in (320, *WIDTHS):
        still.set_viewport_size({"width": width, "height": 900})
        still.wait_for_timeout(300)
        assert still.evaluate(script) == [], width
