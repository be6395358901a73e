"""A guided path walked with the keyboard alone; what the page says about a lesson is what was measured."""

import re

import pytest
from browsing import LONG, hovered, run_of, set_number, settings, wait_status
from playwright.sync_api import Locator, Page, expect
from served import Served

from minigpt.api import attention
from minigpt.breaks import BREAKS
from minigpt.corpora import LESSONS
from minigpt.figures.labels import number
from minigpt.promises import find
from minigpt.ui.guides import GUIDES

pytestmark = pytest.mark.browser
CARD = "#guide .mg-guide"


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there, as one does without a mouse."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def at_step(page: Page, number: int, name: str = "echo") -> None:
    expect(page.locator(f"{CARD} h3")).to_have_text(re.compile(f", step {number} of {len(GUIDES[name])}$"))
    # The card has taken the focus, and rings what it speaks of.
    page.wait_for_function("() => document.activeElement?.classList.contains('mg-guide')")
    assert page.locator(".mg-lit").count() == 1


def press(page: Page, button: str) -> None:
    page.locator(f"{CARD} {button}").wait_for()
    tab_to(page, f"{CARD} {button}")
    page.keyboard.press("Enter")


def finished(page: Page, server: Served) -> str:
    """Wait for the run that the page follows now, not for the word that an earlier run has left there."""
    run = run_of(page)
    for _ in range(LONG // 100):
        if server.runs.progress(run).status == "finished" and not server.runs.flying(run):
            break
        page.wait_for_timeout(100)
    wait_status(page, "Finished")
    return run


def pick(page: Page, name: str) -> None:
    page.click("#lesson input")
    page.get_by_role("option", name=LESSONS[name].title).click()
    expect(page.locator("#text textarea")).to_have_value(LESSONS[name].text)
    expect(page.locator("#guide-offer button")).to_have_text("Guide me")


def test_the_path_of_echo_from_first_to_last_step_with_the_keyboard_alone(page: Page, server: Served) -> None:
    # Pick the lesson: the one below the first.
    tab_to(page, "#lesson input")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#lesson input")).to_have_value(LESSONS["echo"].title)
    expect(page.locator("#text textarea")).to_have_value(LESSONS["echo"].text)
    tab_to(page, "#guide-offer button")
    page.keyboard.press("Enter")

    at_step(page, 1)
    page.keyboard.press("ArrowRight")
    # A prediction, and only then the reveal.
    at_step(page, 2)
    reveal = GUIDES["echo"][1].question.reveal
    expect(page.locator(CARD)).not_to_contain_text(reveal)
    page.keyboard.press("1")
    expect(page.locator(CARD)).to_contain_text(f"Not quite. {reveal}")
    expect(page.locator("#lesson-notes")).to_contain_text(LESSONS["echo"].floor_from)
    page.keyboard.press("ArrowLeft")
    at_step(page, 1)
    page.keyboard.press("ArrowRight")
    at_step(page, 2)
    page.keyboard.press("2")
    expect(page.locator(CARD)).to_contain_text("As you said.")
    page.keyboard.press("ArrowRight")

    at_step(page, 3)
    press(page, ".mg-do")
    run = finished(page, server)
    found = find(LESSONS["echo"], server.runs.state(run))
    assert found.kept
    notes = page.locator("#lesson-notes")
    expect(notes).to_contain_text("There since step")
    expect(notes).to_contain_text(f"puts {found.share:.0%} of its attention on the letter after the earlier copy")
    floor = server.runs.progress(run).history.references.floor
    expect(page.locator("#loss-curve")).to_contain_text(f"best possible {floor:.2f}")
    tab_to(page, f"{CARD} .mg-next")
    page.keyboard.press("Enter")

    at_step(page, 4)
    page.keyboard.press("3")
    expect(page.locator(CARD)).to_contain_text("As you said.")
    page.keyboard.press("ArrowRight")
    at_step(page, 5)
    press(page, ".mg-do")
    expect(page.locator("#head-title")).to_contain_text(f"Layer {found.layer + 1} head {found.head + 1}")
    expect(page.locator(CARD)).to_contain_text(f"puts {found.share:.0%} of its attention")
    expect(page.locator("#prompt textarea, #prompt input")).to_have_value("qkzvb|qkz")
    # The outlined row is the last z; its cell under v holds what the array holds.
    written = page.locator("#continuation .t").all_inner_texts()
    pattern = attention(server.runs.state(run), "".join(written[:9])).pattern
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    shown = hovered(page, "#head", 3, 8)
    assert number(float(pattern[found.layer, found.head, 8, 3])) in shown
    page.focus(CARD)
    page.keyboard.press("ArrowRight")
    at_step(page, 6)
    page.keyboard.press("ArrowRight")  # A prediction can be skipped.

    at_step(page, 7)
    assert page.locator(f"{CARD} .mg-do").count() == 0
    page.keyboard.press("2")
    press(page, ".mg-do")
    page.wait_for_function("run => !location.search.includes(run)", arg=run)
    twin = finished(page, server)
    broken = find(LESSONS["echo"], server.runs.state(twin))
    page.focus(CARD)
    page.keyboard.press("ArrowRight")
    at_step(page, 8)
    told = f"Validation {server.runs.progress(twin).history.validation[-1][1]:.2f}, best possible {floor:.2f}."
    expect(page.locator(CARD)).to_contain_text(told)
    expect(page.locator(CARD)).to_contain_text(f"it writes {broken.accuracy:.0%} of what stands after the bar right")
    assert broken.gap < -1
    assert broken.accuracy < 0.3
    expect(notes).to_contain_text(BREAKS["mask"].why)
    page.keyboard.press("ArrowRight")
    expect(page.locator(CARD)).to_have_count(0)
    assert page.locator(".mg-lit").count() == 0
    expect(page.locator("#guide-offer button")).to_have_text("Guide me")


def test_a_path_can_be_left_and_is_found_again_after_a_reload(page: Page, server: Served) -> None:
    page.click("#guide-offer button")
    at_step(page, 1, "stories")
    page.keyboard.press("ArrowRight")
    at_step(page, 2, "stories")
    page.keyboard.press("Escape")
    expect(page.locator(CARD)).to_have_count(0)
    expect(page.locator("#guide-offer button")).to_have_text("Guide, step 2 of 8")
    page.reload()
    page.wait_for_selector("#loss-curve .main-svg")
    expect(page.locator("#guide-offer button")).to_have_text("Guide, step 2 of 8")
    page.click("#guide-offer button")
    at_step(page, 2, "stories")
    # A guide to another lesson would speak of what is not there.
    pick(page, "markov")
    expect(page.locator(CARD)).to_have_count(0)


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_the_card_never_hides_the_button_that_it_speaks_of(page: Page, server: Served, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    pick(page, "echo")
    page.click("#guide-offer button")
    for step in (1, 2, 3):
        at_step(page, step)
        page.wait_for_timeout(300)
        card, lit = page.locator(CARD).bounding_box(), page.locator(".mg-lit").bounding_box()
        assert card["x"] >= 0
        assert card["x"] + card["width"] <= size[0]
        assert card["y"] >= 0
        assert card["y"] + card["height"] <= size[1]
        apart = (
            card["x"] >= lit["x"] + lit["width"]
            or lit["x"] >= card["x"] + card["width"]
            or card["y"] >= lit["y"] + lit["height"]
            or lit["y"] >= card["y"] + card["height"]
        )
        assert apart, f"step {step}: the card at {card} covers {lit}"
        page.keyboard.press("ArrowRight")


def knob(page: Page, index: int) -> Locator:
    return page.locator(f"#knob-{index}").locator("textarea, input")


def test_a_teacher_changes_a_lesson_and_its_floor_and_promise_go_with_it(page: Page, server: Served) -> None:
    pick(page, "echo")
    before = page.inner_text("#lesson-notes")
    page.click("#change-lesson > button")
    knob(page, 0).fill("abcdefgh")
    knob(page, 2).fill("five")
    page.click("#draw-anew")
    expect(page.locator("#change-message")).to_contain_text("“Most in a line” must be a number, such as 12")
    knob(page, 2).fill("5")
    page.click("#draw-anew")
    changed = LESSONS["echo"].changed({"letters": "abcdefgh", "longest": 5})
    expect(page.locator("#text textarea")).to_have_value(changed.text)
    expect(page.locator("#lesson input")).to_have_value(LESSONS["echo"].title)
    expect(page.locator("#lesson-notes")).to_contain_text("Best possible")
    assert page.inner_text("#lesson-notes") != before
    settings(page, steps=20)
    page.click("#train")
    run = finished(page, server)
    settled = server.runs.progress(run)
    assert settled.settings.drawn_with == {"letters": "abcdefgh", "longest": 5}
    assert settled.finding is not None
    expect(page.locator("#lesson-notes")).to_contain_text(f"Best possible {settled.history.references.floor:.2f}")
    # A reload finds the changed lesson again, with what was typed.
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    page.reload()
    page.wait_for_selector("#loss-curve .main-svg")
    expect(page.locator("#text textarea")).to_have_value(changed.text)
    expect(page.locator("#lesson-notes")).to_contain_text("Not there.")
    page.click("#change-lesson > button")
    expect(knob(page, 0)).to_have_value("abcdefgh")
    # One's own text has none of this.
    page.fill("#text textarea", "a text of my own , with a few words in it , and more of them")
    expect(page.locator("#change-lesson")).to_be_hidden()
    expect(page.locator("#guide-offer button")).to_have_count(0)


def test_ones_own_text_does_not_get_the_model_of_the_lesson_that_it_replaces(page: Page, server: Served) -> None:
    pick(page, "echo")
    expect(page.locator("#settings > button")).to_have_text(re.compile("as in the lesson, Muon, 600 steps"))
    page.fill("#text textarea", "a text of my own , with a few words in it , and more of them")
    expect(page.locator("#lesson input")).to_have_value("Your own text")
    expect(page.locator("#settings > button")).to_have_text(re.compile("small, Muon, 400 steps"))
    # What was chosen by hand is kept.
    pick(page, "reverse")
    settings(page, steps=77)
    page.fill("#text textarea", "another text of my own , with a few words in it , and more of them")
    expect(page.locator("#lesson input")).to_have_value("Your own text")
    expect(page.locator("#settings > button")).to_have_text(re.compile("77 steps"))


def test_another_lesson_starts_afresh_and_the_way_back_leads_to_the_run(page: Page, server: Served) -> None:
    settings(page, steps=20)
    page.click("#train")
    run = finished(page, server)
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    pick(page, "echo")
    expect(page.locator("#status")).to_contain_text("Not trained yet")
    expect(page.locator("#loss-curve")).to_contain_text("best possible")
    expect(page.locator("#explored")).to_be_hidden()
    expect(page.locator("#explore-empty")).to_contain_text("Press Train first")
    expect(page.locator("#sample")).not_to_contain_text("it writes")
    assert "run=" not in page.url
    page.go_back()
    page.wait_for_selector("#loss-curve .main-svg")
    wait_status(page, "Finished")
    assert run_of(page) == run
    expect(page.locator("#text textarea")).to_have_value(LESSONS["stories"].text)


def test_a_hidden_mistake_is_found_by_its_symptom(page: Page, server: Served) -> None:
    pick(page, "debugging")
    settings(page)
    set_number(page, "steps", 400)
    expect(page.locator("#settings > button")).to_contain_text("400 steps")
    page.click("#guide-offer button")
    for step in range(1, 6):
        at_step(page, step, "debugging")
        # Cases are alike but for their words; the ring must move with them all the same.
        lit = {1: "text", 2: "loss-curve", 3: "p-explore", 4: "sample", 5: "p-explore"}[step]
        expect(page.locator(".mg-lit")).to_have_id("p-train" if lit == "sample" else lit)
        page.keyboard.press("ArrowRight")
    at_step(page, 6, "debugging")
    press(page, ".mg-do")
    run = finished(page, server)
    assert server.runs.progress(run).settings.breaks == ("vocabulary",)
    # The page does not tell what is wrong; the prompt is shown as it was written, and the answer is not.
    page.wait_for_selector("#head .main-svg", timeout=LONG)  # Else the reload cuts off what is on its way.
    page.reload()
    page.wait_for_selector("#loss-curve .main-svg")
    wait_status(page, "Finished")
    assert "vocabulary" not in page.inner_text("#lesson-notes") + page.inner_text("#settings > button")
    assert page.locator("#breaks input:checked").count() == 0
    page.click("#generate")
    page.wait_for_selector("#head .main-svg", timeout=LONG)
    chips = page.locator("#continuation .t").all_inner_texts()
    assert chips[:9] == list("qkzvb|qkz")
    assert chips[9] != "v"
    page.click("#guide-offer button")
    at_step(page, 6, "debugging")
    page.keyboard.press("4")
    expect(page.locator(CARD)).to_contain_text("As you said. A vocabulary of its own.")
