"""The programs that the page offers run as they stand, in a fresh process, and give what the page shows."""

import ast
import os
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from minigpt import GPTConfig, SamplingConfig, TrainingConfig, figures
from minigpt.api import attention_of_ids, write
from minigpt.breaks import removable
from minigpt.copies import copied
from minigpt.corpora import LESSONS, drawn
from minigpt.diagnosis import diagnose, loss_without
from minigpt.film import Camera
from minigpt.hooks import muted
from minigpt.lens import embedding_map, guesses, logit_lens
from minigpt.runs import RunSettings
from minigpt.training import TrainingState, advance, begin
from minigpt.twins import begun_alike
from minigpt.ui.explorer import AT_LEAST, Exploration, Explorer, Selection
from minigpt.ui.filming import births
from minigpt.ui.snippets import TEXT_FILE, made, model, snippets

ROOT = Path(__file__).parent.parent
OWN = "the old king saw the young dog . the dog ran off and the king sat down .\nit's “late” \\ # 'so' \"so\" .\n" * 8
MARKOV = LESSONS["markov"]
SMALL = GPTConfig(n_ctx=12, d_model=16, n_heads=2, n_layers=2)
PLAN = TrainingConfig(steps=6, batch_size=3, seed=4)

# What a person might do: words, with a prompt that would break out of a string if it could; pieces, and more tokens
# than the context holds; a lesson with other settings and a known floor; two mistakes of the break-it lesson.
CASES: dict[str, tuple[str, RunSettings, str, SamplingConfig]] = {
    "words": (OWN, RunSettings("word", config=SMALL, training=PLAN),
              'the "old"\n\'\'\' + __import__("os") # king \\', SamplingConfig(6, 0.7, 5, 0.9, 3)),
    "pieces": (OWN, RunSettings("bpe", 280, SMALL, replace(PLAN, optimiser="adamw")), "the old king saw the young dog",
               SamplingConfig(9)),
    "lesson": ("", RunSettings("character" if MARKOV.tokenizer == "character" else MARKOV.tokenizer,
               config=replace(MARKOV.config, n_ctx=12), training=replace(MARKOV.training, steps=5, eval_every=None),
               lesson="markov", drawn_with={"seed": 3}), MARKOV.prompts[0], SamplingConfig(5)),
    # Its twin lacks parameters, and would see other batches if it did not begin as the run.
    "no mask": (OWN, RunSettings("character", config=replace(SMALL, positions="learned"), training=PLAN,
                breaks=("mask",)), "the k", SamplingConfig(4)),
    "vocabulary": (OWN, RunSettings("word", config=SMALL, training=PLAN, breaks=("vocabulary", "softmax")), "king saw",
                   SamplingConfig(5)),
}  # fmt: skip

RUN = """
import pickle, runpy, sys
from pathlib import Path
import plotly.graph_objects as go
go.Figure.show = lambda self: None
WANTED = ("state", "ids", "view", "tokens", "figure", "p", "film", "copies", "found", "without", "cost", "twin",
          "change", "layers", "embedding")
kept = []
for path in sorted(Path("programs").iterdir()):
    made = runpy.run_path(str(path))
    names = {name: made[name] for name in WANTED if name in made}
    if "figure" in names: names["figure"] = names["figure"].to_json()
    for name in names.keys() & {"state", "twin"}:
        state = names[name]
        names[name] = state.step, state.history.train, state.history.references
    kept.append(names)
Path("kept").write_bytes(pickle.dumps(kept))
"""


def begun(text: str, settings: RunSettings) -> TrainingState:
    """As the scheduler begins it."""
    lesson = settings.taught()
    known = drawn(lesson.source).log_probability if lesson else None
    return begin(text, settings.tokenizer, *settings.applied(), settings.bpe_vocab, known)


def explored(text: str, settings: RunSettings, prompt: str, sampling: SamplingConfig) -> tuple[Exploration, str]:
    """As the page makes it: the run, and the prompt as panel 3 continues it."""
    lesson = settings.taught()
    text = drawn(lesson.source).text if lesson else text
    state = advance(begun(text, settings), settings.training.steps)
    runs: Any = SimpleNamespace(state=lambda _: state, progress=lambda _: SimpleNamespace(settings=settings))
    return Explorer(runs).explore("run", prompt, sampling), text


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_program_runs_and_gives_what_the_page_shows(name: str, tmp_path: Path) -> None:
    text, settings, prompt, sampling = CASES[name]
    shown, text = explored(text, settings, prompt, sampling)
    # A token whose row has slid out where there is one: the program must ask the model anew, as the page does.
    chosen = Selection("key", 1 % settings.applied()[0].n_layers, 1, 1 if shown.view.dropped else len(shown.prompt))
    offered = snippets(shown, chosen, settings)
    (tmp_path / "programs").mkdir()
    (tmp_path / TEXT_FILE).write_text(text, encoding="utf-8", newline="")
    for index, snippet in enumerate(offered):
        (tmp_path / "programs" / f"{index:02}.py").write_text(snippet.program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, env=environment, capture_output=True, timeout=300)
    assert ran.returncode == 0, ran.stderr.decode()
    kept = {snippet.title: names for snippet, names in
            zip(offered, pickle.loads((tmp_path / "kept").read_bytes()), strict=True)}  # fmt: skip

    written = "".join(token.text for token in shown.tokens)
    assert written in ran.stdout.decode()
    state, (layer, head) = shown.state, (chosen.layer, chosen.head)
    for title, names in kept.items():
        assert names["state"] == (state.step, state.history.train, state.history.references), title
        assert tuple(names["ids"]) == shown.ids, title
        assert [token.index for token in names["tokens"]] == [token.index for token in shown.tokens], title
        np.testing.assert_allclose(names["view"].pattern, shown.view.pattern, atol=1e-6)
        np.testing.assert_allclose(names["view"].logits, shown.view.logits, atol=1e-5)
    # With a broken vocabulary the page writes on the axes what the reader wrote, not what the model read.
    view = kept["All heads"]["view"]
    assert kept["All heads"]["figure"] == figures.heads_grid(view, (layer, head)).to_json()
    large = figures.head(view, layer, head, shown.query_of(chosen.position))
    assert kept[f"Layer {layer + 1} head {head + 1}"]["figure"] == large.to_json()
    assert kept["Loss"]["figure"] == figures.loss_curve(state.history).to_json()
    np.testing.assert_allclose(kept["Next token"]["p"], shown.distribution(chosen.position), rtol=1e-4)
    ids = [token.index for token in shown.tokens]
    copies = copied(ids, state.ids.numpy(), AT_LEAST[state.tokenizer.kind])
    assert kept["What is copied"]["copies"].spans == copies.spans
    found, again = diagnose(state), kept["What each head does"]["found"]
    assert (found is None) == (again is None) == (not state.config.causal)
    if found and again:
        np.testing.assert_allclose(flat(again.scores[layer][head]), flat(found.scores[layer][head]), atol=1e-6)
    with muted(state.model, [(layer, head)]):
        written = list(write(state, torch.tensor(shown.ids[: len(shown.prompt)]), sampling))
    told = [(token.index, pytest.approx(token.probability, abs=1e-6)) for token in written]
    assert [(token.index, token.probability) for token in kept["Switch heads off"]["without"]] == told
    cost = loss_without(state, [(layer, head)]) - loss_without(state)
    assert kept["Switch heads off"]["cost"] == pytest.approx(cost, abs=1e-6)

    compare_film_and_twin(kept, shown, chosen, begun(text, settings), begun(text, twin_of(settings)), settings)
    compare_layers_and_map(kept, shown, chosen)
    if (query := shown.query_of(chosen.position)) is not None:
        row = kept.pop("Every head on this token")
        assert row["figure"] == figures.every_head(view, query, (layer, head)).to_json()
    assert len(kept) == 12, "a program that nobody compares"


def twin_of(settings: RunSettings) -> RunSettings:
    """Settings of the twin that the program trains."""
    return replace(settings, without=removable(settings.applied()[0])[0])


def compare_film_and_twin(
    kept: dict[str, Any],
    shown: Exploration,
    chosen: Selection,
    beginning: TrainingState,
    begun_twin: TrainingState,
    settings: RunSettings,
) -> None:
    """The film as a worker takes it, and its figure as panel 2 draws it; the twin as the scheduler begins it."""
    state, view, lesson = shown.state, shown.view, settings.taught()
    camera = Camera(beginning, settings.film_of, lesson.prompts[0] if lesson else "")
    film = {step: camera.frame(advance(beginning, step)) for step in camera.moments}
    ids = [(step, frame.ids.tolist()) for step, frame in film.items()]
    assert [(frame.step, frame.ids.tolist()) for frame in kept["Birth of heads"]["film"]] == ids
    figure = births(film, settings.training.steps, state.tokenizer.kind)
    assert kept["Birth of heads"]["figure"] == figure.to_json()
    trained = kept["What happens without …"]
    twin = advance(begun_alike(begun_twin, beginning), state.step)
    assert trained["twin"][:2] == (state.step, twin.history.train)
    change = attention_of_ids(twin, list(shown.ids)).pattern - view.pattern
    np.testing.assert_allclose(trained["change"], change, atol=1e-6)
    causal, query = view.causal and twin.config.causal, shown.query_of(chosen.position)
    change = trained["change"][chosen.layer, chosen.head]
    tokens = attention_of_ids(state, list(shown.ids)).tokens
    assert trained["figure"] == figures.difference(tokens, change, causal, query).to_json()


def compare_layers_and_map(kept: dict[str, Any], shown: Exploration, chosen: Selection) -> None:
    """The answers of the layers and the places of the tokens, and both figures."""
    state, view = shown.state, kept["All heads"]["view"]
    layers = logit_lens(state.model, torch.tensor(shown.view.ids))
    np.testing.assert_allclose(kept["Layer by layer"]["layers"].numpy(), layers.numpy(), atol=1e-5)
    name, after = state.tokenizer.token, shown.view.dropped + 1
    found = guesses(layers, torch.tensor(shown.ids[after:]))
    first = [[name(int(index)) for index in row] for row in found.first]
    came = [name(index) for index in shown.ids[after:]]
    answers = figures.Answers(view.tokens, came, first, found.p_first, found.p_came, found.rank)
    assert kept["Layer by layer"]["figure"] == figures.lens(answers, shown.query_of(chosen.position)).to_json()
    found = embedding_map(state.model.embed.weight)
    np.testing.assert_allclose(kept["Map of the tokens"]["embedding"].places, found.places, atol=1e-6)
    every = range(state.config.d_vocab)
    counts, here = np.bincount(state.ids.numpy(), minlength=len(every)), np.isin(every, shown.ids)
    points = figures.TokenMap([name(index) for index in every], found.places, counts, here)
    assert kept["Map of the tokens"]["figure"] == figures.token_map(points).to_json()


def flat(scores: Any) -> list[float]:
    """All numbers of a head's scores, those inside others too."""
    if isinstance(scores, int | float):
        return [float(scores)]
    return [number for field in fields(scores) for number in flat(getattr(scores, field.name))]


@pytest.mark.parametrize("prompt", ['")\nimport os\n("', "'''\"\"\"", "\\", "\u202e", "a\x00b", "\ud800", "{x}", "ß‘’"])
def test_a_prompt_is_one_string_of_the_program_whatever_it_holds(prompt: str) -> None:
    shown, _ = explored(OWN, CASES["words"][1], "the", SamplingConfig(1))
    tree = ast.parse(model(replace(shown, asked=prompt), CASES["words"][1]).encode("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [call for call in calls if getattr(call.func, "id", "") == "prompt_ids"]
    assert [ast.literal_eval(call.args[1]) for call in calls] == [prompt]
    plain = ast.parse(model(replace(shown, asked="the"), CASES["words"][1]))
    assert [type(node) for node in tree.body] == [type(node) for node in plain.body]


@pytest.mark.parametrize("settings", [
    GPTConfig(), GPTConfig(d_model=32, n_heads=2, d_head=8, d_mlp=0, causal=False, init_std=0.5),
    TrainingConfig(), TrainingConfig(steps=7, windows="chunks", learning_rate=0.1, optimiser="adamw", eval_every=3),
    SamplingConfig(10), SamplingConfig(1, 0, 3, 0.5, 9),
])  # fmt: skip
def test_settings_are_made_by_the_shortest_call_that_makes_the_same(settings: Any) -> None:
    line = made(settings)
    import minigpt

    assert eval(line, {"minigpt": minigpt}) == settings
    assert made(GPTConfig()) == "minigpt.GPTConfig()"
    assert made(TrainingConfig(steps=20)) == "minigpt.TrainingConfig(steps=20)"
