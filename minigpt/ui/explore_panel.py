"""Panel 3: prompt, continuation, all heads, one head, and what could come next."""

from collections.abc import Sequence

import gradio as gr

from minigpt.ui import words
from minigpt.ui.explorer import COLOURS, Selection
from minigpt.ui.exploring import N_EXPLORE, N_SHOWN, Exploring
from minigpt.ui.fragment import Fragment, h
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import EACH, LAST, QUIET, Parts, Wires

# What the handlers return, in the same order.
SAMPLING_NAMES = ("length", "temperature", "top_k", "top_p", "sampling_seed")
HEAD_NAMES = ("grid", "head_title", "head", "head_caption")
TOKEN_NAMES = ("continuation", "told", "back", "forward", "next_title", "guess", "next")
SHOWN_NAMES = ("explore_message", *TOKEN_NAMES, *HEAD_NAMES, "selection")
EXPLORE_NAMES = (*SHOWN_NAMES, "explored", "explore_title")
assert (len(SHOWN_NAMES), len(EXPLORE_NAMES)) == (N_SHOWN, N_EXPLORE)


def build(prompts: Sequence[str]) -> Parts:
    """The panel before anything was explored, with prompts to try."""
    with gr.Column(elem_id="p-explore", elem_classes="mg-panel"):
        parts: Parts = {"explore_title": Fragment(words.title("3", "Explore"))}
        with gr.Row(elem_id="ask"):
            parts["prompt"] = gr.Textbox(
                # More lines than one, so that it may hold line ends: Enter generates, Shift and Enter break the line.
                prompts[0], label="Prompt", lines=1, max_lines=4, elem_id="prompt", placeholder="Write a beginning.",
            )  # fmt: skip
            parts["generate"] = gr.Button("Generate", variant="primary", elem_id="generate")
        parts["examples"] = Fragment(words.examples(prompts), elem_id="examples")
        parts["prompts"] = gr.State(list(prompts))
        parts["explore_message"] = Fragment(elem_id="explore-message")
        parts["empty"] = Fragment(words.empty(words.NOTHING_TO_EXPLORE), elem_id="explore-empty")
        with gr.Column(visible=False, elem_id="explored") as parts["explored"]:
            with gr.Row(elem_id="reading"):
                Fragment(words.subtitle("Continuation"))
                Fragment([h("p", "colour shows", cls="mg-note")], elem_id="colour-shows")
                parts["colour"] = gr.Radio(
                    list(COLOURS), value=COLOURS[0], show_label=False, label="Colour shows", container=False,
                    elem_id="colour", elem_classes="mg-seg",
                )  # fmt: skip
            parts["continuation"] = Fragment(elem_id="continuation")
            with gr.Row(elem_id="scrub"):
                parts["back"] = gr.Button("Back", size="sm", elem_id="back")
                gr.Button("Play", size="sm", elem_id="play")
                parts["forward"] = gr.Button("Next", size="sm", elem_id="forward")
                parts["told"] = Fragment(elem_id="told")
            with gr.Row(elem_id="explore-body"):
                with gr.Column(elem_id="heads-col"):
                    with gr.Column():
                        Fragment(words.subtitle("All heads", "layer.head, click to open"))
                        parts["grid"] = PlotlyView(label="Attention of all heads", elem_id="heads-grid")
                    with gr.Column():
                        with gr.Row(elem_id="next-head"):
                            parts["next_title"] = Fragment()
                            parts["guess_first"] = gr.Checkbox(
                                label="Guess first", container=False, elem_id="guess-first", interactive=True
                            )
                        parts["guess"] = Fragment(elem_id="guess")
                        parts["next"] = PlotlyView(label="Probability of the next token", elem_id="next-token")
                with gr.Column(elem_id="head-col"):
                    parts["head_title"] = Fragment(elem_id="head-title")
                    parts["head"] = PlotlyView(label="Attention of one head", elem_id="head")
                    parts["head_caption"] = Fragment(elem_id="head-caption")
        parts["selection"] = gr.State(Selection())
        parts["measured"] = gr.State("")
        with gr.Accordion(words.sampling_label(10, 0.8), open=False, elem_id="sampling") as parts["sampling"]:
            parts |= sampling()
    return parts


def sampling() -> Parts:
    """How the next token is chosen."""
    with gr.Row(elem_classes="mg-fields"):
        return {
            "length": gr.Number(10, label="Tokens", precision=0, elem_id="length"),
            "temperature": gr.Number(0.8, label="Temperature", step=0.1, elem_id="temperature"),
            "top_k": gr.Number(0, label="Top-k, 0 = all", precision=0, elem_id="top-k"),
            "top_p": gr.Number(1, label="Top-p, 1 = all", step=0.05, elem_id="top-p"),
            "sampling_seed": gr.Number(0, label="Seed", precision=0, elem_id="sampling-seed"),
        }


def wire(exploring: Exploring, wires: Wires) -> None:
    """Answer the events of the panel."""
    asked = ("prompt", "selection", *SAMPLING_NAMES)
    at_work = {"concurrency_limit": 4}
    wires.on("click generate", exploring.ask, ("run", *asked), EXPLORE_NAMES, **at_work)
    wires.on("submit prompt", exploring.ask, ("run", *asked), EXPLORE_NAMES, **at_work)
    offered = wires.on("select examples", exploring.pick_prompt, "prompts", "prompt")
    offered.then(exploring.ask, wires.named(("run", *asked)), wires.named(EXPLORE_NAMES), **at_work, **QUIET)
    shown = ("prompt", *EXPLORE_NAMES)
    wires.on("select lesson_notes", exploring.show_promise, ("run", *SAMPLING_NAMES), shown, **at_work)
    # Each click is answered, so that the last one counts: of clicks that wait Gradio may send the wrong one.
    picks = {
        "grid": exploring.pick_head,
        "head": exploring.pick_query,
        "continuation": exploring.pick_token,
        "guess": exploring.pick_guess,
    }
    for name, handler in picks.items():
        wires.on(f"select {name}", handler, "selection", SHOWN_NAMES, **EACH)
    wires.on("click back", exploring.back, "selection", SHOWN_NAMES)
    wires.on("click forward", exploring.forward, "selection", SHOWN_NAMES)
    wires.on("input guess_first", exploring.guess_first, "guess_first selection", SHOWN_NAMES, **LAST)
    wires.on("input colour", exploring.pick_colour, "colour selection", SHOWN_NAMES, **LAST)
    # What takes long comes after the head, in a handler of its own; a caption that lacks something asks for it.
    wires.on("change head_caption", exploring.measure, "selection", "measured", concurrency_limit=2, **LAST)
    wires.on("change measured", exploring.captioned, "selection", "head_caption", **EACH)
    wires.on("change length temperature", exploring.name_sampling, "length temperature", "sampling")
