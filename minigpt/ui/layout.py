"""The page: three panels, and which handler answers which event."""

import json
from typing import Any, get_args

import gradio as gr

from minigpt import figures
from minigpt.breaks import BREAKS
from minigpt.config import PRESETS, Positions, ValidationPlace
from minigpt.corpora import LESSONS
from minigpt.ui import (
    door,
    endpoints,
    endpoints_heads,
    endpoints_look,
    explore_panel,
    languages,
    lesson_words,
    opening,
    words,
)
from minigpt.ui.deeper import Deeper, Tab
from minigpt.ui.delivery import by_heart
from minigpt.ui.explore_panel import EXPLORE_NAMES, SAMPLING_NAMES
from minigpt.ui.exploring import Exploring
from minigpt.ui.filming import Filming
from minigpt.ui.fragment import Fragment, h
from minigpt.ui.guides import Place
from minigpt.ui.guiding import N_ACT, N_GUIDE, Guiding
from minigpt.ui.handlers import N_LOOK, N_OPEN, NO_REFUSAL, Page
from minigpt.ui.heads_tab import HeadsTab
from minigpt.ui.lens_tab import LensTab
from minigpt.ui.map_tab import MapTab
from minigpt.ui.returning import N_RETURN, TYPED, Returning
from minigpt.ui.rows_tab import RowsTab
from minigpt.ui.switchboard_tab import SwitchboardTab
from minigpt.ui.take_tab import TakeTab
from minigpt.ui.twins_tab import TwinsTab
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import EACH, LAST, QUIET, Parts, Wires

FIRST_LESSON = "stories"
# Seconds: how often the files that were offered or opened are looked over, and how old they get.
CLEANING = (3600, 6 * 3600)


def build(page: Page) -> gr.Blocks:
    """The page with its events and its endpoints, ready to launch."""
    with gr.Blocks(title="miniGPT", analytics_enabled=False, fill_width=True, delete_cache=CLEANING) as blocks:
        endpoints.add(page)  # First, because the page's own handlers would take their names.
        endpoints_heads.add(page)
        endpoints_look.add(page)
        hidden = {name: gr.Textbox(visible="hidden", elem_id=name, container=False) for name in HIDDEN_NAMES}
        _top()
        with gr.Row(elem_id="panels"):
            exploring = Exploring(page)
            filming = Filming(page, exploring)
            text, train = _text_panel(), _train_panel(filming)
            explore = explore_panel.build(LESSONS[FIRST_LESSON].prompts)
        tabs: list[Tab] = [
            HeadsTab(exploring),
            RowsTab(exploring),
            SwitchboardTab(exploring),
            TwinsTab(exploring),
            LensTab(exploring),
            MapTab(),
            TakeTab(exploring.explorer),
        ]
        deeper = Deeper(exploring.explorer, tabs)
        guide = {
            "guide": Fragment(elem_id="guide"),
            # Not gr.BrowserState: where a browser blocks storage, as in a frame of another site, the page never opens.
            "place": gr.Textbox(visible="hidden", elem_id="place", container=False),
        }
        wires = Wires(text | train | explore | deeper.build() | guide | hidden)
        _wire_text(page, wires)
        opened = _wire_training(page, wires, blocks)
        explore_panel.wire(exploring, wires)
        filming.wire(wires, EXPLORE_NAMES, SAMPLING_NAMES)
        deeper.wire(wires)
        _wire_guide(Guiding(page, exploring), wires, blocks)
        _wire_return(page, Returning(page, exploring), wires, opened)
    by_heart(blocks)
    blocks.space_id = None  # With it, a page at *.hf.space asks a font host and huggingface.co for a header.
    return blocks


def _top() -> None:
    with gr.Row(elem_id="topbar"):
        line = h("span", "Train a small language model on your text and see what every head looks at.", cls="mg-hide-s")
        Fragment([h("div", h("h1", "miniGPT"), line, cls="mg-top")], elem_id="top")
        languages.menu()
        gr.Button("Dark / light", size="sm", elem_id="theme")


def _text_panel() -> Parts:
    lesson = LESSONS[FIRST_LESSON]
    reading = door.read(lesson.text, lesson.tokenizer, 512)
    tokens = [reading.tokenizer.token(int(index)) for index in reading.ids[: words.PREVIEW_TOKENS]]
    choices = [(known.title, name) for name, known in LESSONS.items()] + [("Your own text", door.OWN_TEXT)]
    with gr.Column(elem_id="p-text", elem_classes="mg-panel"):
        n_tokens = words.plural(len(reading.ids), "token")
        parts = {
            "text_title": Fragment(words.title("1", "Text", n_tokens, fold=True)),
            "lesson": gr.Dropdown(choices, value=lesson.name, label="Lesson", filterable=False, elem_id="lesson"),
            "look_for": Fragment(words.look_for(lesson.name)),
            "guide_offer": Fragment(lesson_words.guide_offer(Place(), lesson.name), elem_id="guide-offer"),
            "text": gr.Textbox(lesson.text, label="Text to learn from", lines=3, max_lines=3, elem_id="text",
                               placeholder="Paste a text here, or pick a lesson above."),
            "text_message": Fragment(elem_id="text-message"),
        }  # fmt: skip
        with gr.Row():
            parts["open_file"] = gr.UploadButton("Open a file", size="sm", type="filepath", elem_id="open-file")
            parts["clear"] = gr.Button("Clear", size="sm", elem_id="clear")
        parts |= opening.build()
        parts["tokenizer"] = gr.Radio(
            list(door.KINDS),
            value=door.LABELS[lesson.tokenizer],
            label="Split into",
            elem_id="tokenizer",
            elem_classes="mg-seg",
        )
        parts["pieces"] = gr.Slider(
            256, 2048, 512, step=64, label="Different pieces, at most", visible=False, elem_id="pieces", buttons=[]
        )
        parts["split_note"] = Fragment(elem_id="split-note")
        parts["facts"] = Fragment(words.facts(lesson.text, reading.tokenizer, len(reading.ids)), elem_id="facts")
        parts["preview"] = Fragment(words.preview(tokens), elem_id="preview", elem_classes="mg-wide")
        parts |= _knobs(lesson.name)
        parts["drawn_with"] = gr.State({})
        parts["own"] = gr.State("")
        parts["fitted"] = gr.State("")
        parts["cleared"] = gr.State("")
        parts["refused"] = gr.State(NO_REFUSAL)
    return parts


def _knobs(lesson: str) -> Parts:
    """Fields for the settings of a lesson's text, as many as the lesson with the most of them needs."""
    known = door.knobs(lesson, {})
    with gr.Accordion("Change this lesson", open=False, elem_id="change-lesson") as accordion:
        with gr.Row(elem_classes="mg-fields"):
            fields = [
                gr.Textbox(value, label=label, visible=index < len(known), max_lines=1, elem_id=f"knob-{index}")
                for index, (label, value) in enumerate([*known, *[("", "")] * (door.N_KNOBS - len(known))])
            ]
        message = Fragment(elem_id="change-message")
        draw = gr.Button("Write the text anew", size="sm", elem_id="draw-anew")
    named = {name: field for name, field in zip(KNOB_NAMES, fields, strict=True)}
    return {"knobs": accordion, "draw_anew": draw, "change_message": message, **named}


def _train_panel(filming: Filming) -> Parts:
    lesson = LESSONS[FIRST_LESSON]
    fields = door.preset_fields(door.SIZE_OF_LESSON, lesson.name)
    settings = door.settings_of(fields, lesson.name)
    plan = door.plan(door.read(lesson.text, lesson.tokenizer, 512), settings)
    with gr.Column(elem_id="p-train", elem_classes="mg-panel"):
        parts: Parts = {"train_title": Fragment(words.title("2", "Train", words.shape(plan.config, plan.n_params)))}
        with gr.Row():
            parts |= {
                "train": gr.Button("Train", variant="primary", elem_id="train"),
                "pause": gr.Button("Pause", interactive=False, elem_id="pause"),
                "step": gr.Button("Step", elem_id="step"),
                "stop": gr.Button("Stop", interactive=False, elem_id="stop"),
            }
        parts["status"] = Fragment(words.not_trained(None), elem_id="status")
        parts["run_message"] = Fragment(elem_id="run-message")
        Fragment([words.LINK], elem_id="link")
        parts["train_message"] = Fragment(elem_id="train-message")
        Fragment(words.subtitle("Loss", "surprise in nats a token, by step"))
        parts["curve"] = PlotlyView(figures.loss_curve(plan.history), label="Loss by step", elem_id="loss-curve")
        parts |= filming.build()
        parts["lesson_notes"] = Fragment(lesson_words.floor_note(settings, plan.history), elem_id="lesson-notes")
        parts["sample"] = Fragment(elem_id="sample")
        label = words.settings_label(door.SIZE_OF_LESSON, fields.optimiser, fields.steps)
        with gr.Accordion(label, open=False, elem_id="settings") as parts["settings"]:
            parts |= _settings(fields)
    return parts


def _settings(fields: door.Fields) -> Parts:
    with gr.Row(elem_classes="mg-fields"):
        parts: Parts = {
            "preset": gr.Dropdown(
                [door.SIZE_OF_LESSON, *PRESETS],
                value=door.SIZE_OF_LESSON,
                label="Size",
                filterable=False,
                elem_id="preset",
            ),
            "layers": gr.Number(fields.layers, label="Layers", precision=0, elem_id="layers"),
            "heads": gr.Number(fields.heads, label="Heads", precision=0, elem_id="heads"),
            "width": gr.Number(fields.width, label="Width", precision=0, elem_id="width"),
            "context": gr.Number(fields.context, label="Context", precision=0, elem_id="context"),
            "mlp": gr.Number(fields.mlp, label="MLP, × width", precision=0, elem_id="mlp"),
            "positions": gr.Dropdown(
                list(get_args(Positions)),
                value=fields.positions,
                label="Positions",
                filterable=False,
                elem_id="positions",
            ),
            "steps": gr.Number(fields.steps, label="Steps", precision=0, elem_id="steps"),
            "batch": gr.Number(fields.batch, label="Batch", precision=0, elem_id="batch"),
            "rate": gr.Number(fields.rate, label="Learning rate", elem_id="rate"),
            "optimiser": gr.Dropdown(
                [("Muon", "muon"), ("AdamW", "adamw")], value=fields.optimiser, label="Optimiser", filterable=False,
                elem_id="optimiser",
            ),
            "seed": gr.Number(fields.seed, label="Seed", precision=0, elem_id="seed"),
        }  # fmt: skip
    titles = [known.title for known in BREAKS.values()]
    parts["breaks"] = gr.CheckboxGroup(titles, value=fields.breaks, label="Break it", elem_id="breaks")
    parts["film_of"] = gr.Textbox("", label="Film of", max_lines=4, elem_id="film-of")
    with gr.Accordion("Held out", open=False, elem_id="held-out"):
        Fragment([h("p", words.HELD_OUT, cls="mg-note")])
        with gr.Row(elem_classes="mg-fields"):
            parts["held_share"] = gr.Number(fields.held_share, label="Held out, share", elem_id="held-share")
            parts["held_place"] = gr.Dropdown(
                list(get_args(ValidationPlace)), value=fields.held_place, label="Held out, place", filterable=False,
                elem_id="held-place",
            )  # fmt: skip
    parts["settings_message"] = Fragment(elem_id="settings-message")
    return parts


HIDDEN_NAMES = ("run", "arrived", "news", "pending", "mirror", "again", "settling", "offering")
FIELD_NAMES = door.Fields._fields
KNOB_NAMES = tuple(f"knob_{index}" for index in range(door.N_KNOBS))
# What the handlers of the same names return, in the same order.
LOOK_NAMES = ("train_title", "train", "pause", "step", "stop", "status", "run_message", "curve", "lesson_notes",
              "sample", "empty", "arrived", "news")  # fmt: skip
OPEN_NAMES = ("run", "lesson", "drawn_with", "text", "own", "fitted", "look_for", "preset", *FIELD_NAMES, "prompt",
              "train_message")  # fmt: skip
DESCRIBE_NAMES = ("text_title", "split_note", "facts", "preview", "text_message", "settings_message", "settings",
                  "train_title", "curve", "status", "lesson_notes", "examples", "prompts", "offering",
                  "film_of")  # fmt: skip
GUIDE_NAMES = ("guide", "place", "guide_offer", "pending")
ACT_NAMES = ("prompt", "run", "train_message", *EXPLORE_NAMES)
assert (len(LOOK_NAMES), len(OPEN_NAMES)) == (N_LOOK, N_OPEN)
assert (len(GUIDE_NAMES), len(ACT_NAMES)) == (N_GUIDE, N_ACT)


def _wire_text(page: Page, wires: Wires) -> None:
    fields = ("preset", *FIELD_NAMES)
    picked = ("text", "fitted", "drawn_with", "look_for", *fields)
    fresh = ("run", "guide", "explored", "selection", "explore_title")
    chosen = {"js": "(value, other) => [window.mgPicked(value), other]"}
    wires.on("input lesson", page.pick_lesson, "lesson own", (*picked, *fresh), **chosen)
    wires.on("input preset", page.pick_preset, "preset lesson", FIELD_NAMES, **chosen)
    known, own = (
        ("text", "cleared", "fitted", "lesson", "drawn_with", *fields),
        ("clear", "lesson", "own", "look_for", "guide", "fitted", "settling"),
    )
    owned = wires.on("change text", page.own_text, known, own, **LAST)
    # In the browser, because there what somebody changes meanwhile cannot come in between.
    settle = f"(settling, ...values) => window.mgSettle({json.dumps(fields)}, settling, values)"
    settled = owned.then(
        None, wires.named(("settling", *fields)), wires.named(("settling", *fields)), js=settle, **QUIET
    )
    knobs = ("knobs", *KNOB_NAMES, "change_message")
    wires.on("change lesson drawn_with", page.show_knobs, "lesson drawn_with", knobs, **EACH)
    drawn = ("text", "drawn_with", "change_message")
    wires.on("click draw_anew", page.draw_anew, ("lesson", *KNOB_NAMES), drawn)
    wires.on(("submit", *KNOB_NAMES), page.draw_anew, ("lesson", *KNOB_NAMES), drawn)
    wires.on("click clear", page.clear_text, "text cleared", "text cleared lesson look_for")
    opening.wire(wires)
    wires.on("select split_note", page.split_as, (), "tokenizer")
    wires.on("change tokenizer", page.pick_tokenizer, "tokenizer", "pieces", **EACH)
    told = ("text", "run", "lesson", "drawn_with", "refused", "prompts", *fields)
    # One at a time: answers that cross would leave a page with the settings of the text before.
    in_turn = {**LAST, "concurrency_id": "describe"}
    described = (
        wires.on(("change", "refused", *fields), page.describe, told, DESCRIBE_NAMES, **in_turn),
        settled.then(page.describe, wires.named(told), wires.named(DESCRIBE_NAMES), **QUIET, **in_turn),
    )
    # Each time, and not only when the offer changes: what a reload brought back may have come after it.
    offer = "(offering, prompt) => window.mgOffer(offering, prompt)"
    for answer in described:
        answer.then(None, wires.named("offering prompt"), wires.named("prompt"), js=offer, **QUIET)


def _wire_training(page: Page, wires: Wires, blocks: gr.Blocks) -> Any:
    asked = ("text", "lesson", "drawn_with", *FIELD_NAMES)
    started = ("run", "train_message", "explored", "selection", "explore_title")
    wires.on("click train", page.train, ("run", *asked), started, concurrency_limit=4)
    wires.on("click step", page.step, ("run", *asked), started, concurrency_limit=4)
    # Buttons that steer must not wait behind work.
    wires.on("click pause", page.pause, "run", (), queue=False)
    wires.on("click stop", page.stop, "run", (), queue=False)
    follow = {"js": "(run) => [window.mgFollow(run)]", "concurrency_limit": None, "trigger_mode": "multiple"}
    wires.on("change run", page.follow, "run", LOOK_NAMES, **follow)
    opened = blocks.load(page.open_page, None, wires.named(OPEN_NAMES), **QUIET)
    blocks.load(page.estimate, wires.named(asked), wires.named("status"), concurrency_limit=None, **QUIET)
    blocks.unload(page.leave)
    return opened


def _wire_return(page: Page, returning: Returning, wires: Wires, opened: Any) -> None:
    """What a page tells its browser to keep, and what it makes of that when it comes back: see connection.js."""
    names = ("mirror", *TYPED)
    keep = f"(...values) => {{ window.mgKeep({json.dumps(names)}, values); return []; }}"
    wires.on(("change", *names), None, names, (), js=keep, **EACH)
    wires.on("change selection drawn_with", returning.mirror, "selection drawn_with", "mirror", **EACH)
    back = (*TYPED, "drawn_with", "own", "cleared", "fitted", "guess_first", *EXPLORE_NAMES)
    assert len(back) == N_RETURN
    kept, told = wires.named("again run"), wires.named(back)
    opened.then(returning.come_back, kept, told, js="(_, run) => [window.mgKept(), run]", **QUIET)
    came = wires.on("change again", returning.come_back, "again run", back)
    came.then(page.follow, wires.named("run"), wires.named(LOOK_NAMES), concurrency_limit=None, **QUIET)


def _wire_guide(guiding: Guiding, wires: Wires, blocks: gr.Blocks) -> None:
    wires.on("change lesson", guiding.offer, "place lesson", "guide_offer", **EACH)
    remembered, told = wires.named("place lesson"), wires.named("place guide_offer")
    blocks.load(guiding.arrive, remembered, told, js="(place, lesson) => [window.mgPlace(), lesson]", **QUIET)
    wires.on("change place", None, "place", (), js="(place) => { window.mgKeepPlace(place); return []; }")
    wires.on("select guide_offer", guiding.open, "place lesson run", GUIDE_NAMES)
    wires.on("select guide", guiding.press, "place run", GUIDE_NAMES)
    wires.on("change arrived", guiding.refresh, "place arrived guide", "guide", **EACH)
    asked = ("pending", "run", "text", "lesson", "drawn_with", *FIELD_NAMES, *SAMPLING_NAMES)
    wires.on("change pending", guiding.act, asked, ACT_NAMES, concurrency_limit=4)
