"""The tabs of panel 4 for the layers' answers and the map of the tokens: from an exploration to what they show."""

import base64
import html
import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
import torch
from gate import Gate

from minigpt.api import attention_of_ids
from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig
from minigpt.figures.labels import for_page, for_plotly
from minigpt.lens import embedding_map, logit_lens
from minigpt.runs import Runs, RunSettings
from minigpt.training import advance, begin, untrained
from minigpt.ui import map_tab
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.exploring import N_SHOWN, Exploring
from minigpt.ui.handlers import Page
from minigpt.ui.lens_tab import LensTab
from minigpt.ui.map_tab import MapTab

TEXT = "the red ball . the blue ball . a red dog saw the dog . a dog saw a ball .\n" * 12
SETTINGS = RunSettings(config=GPTConfig(n_ctx=16, n_layers=3), training=TrainingConfig(steps=20, sample_tokens=0))


@pytest.fixture
def exploring(tmp_path) -> Exploring:
    gate = Gate()
    return Exploring(Page(Runs(tmp_path, lambda: gate, n_workers=1)))


@pytest.fixture
def explored(exploring) -> tuple[Exploration, Selection]:
    run = exploring._runs.start(TEXT, SETTINGS)
    exploration = exploring.explorer.explore(run, "the red", SamplingConfig(5, 0.8, None, None, 0))
    trained = advance(exploration.state, 20)
    exploration = replace(exploration, state=trained, view=attention_of_ids(trained, list(exploration.ids)))
    return exploration, exploring.explorer.keep(exploration, Selection())


def clicked(row: int, column: int) -> gr.SelectData:
    return gr.SelectData(target=None, data={"index": [row, column], "value": None})


def test_a_run_begins_with_the_model_that_its_shape_and_seed_make(exploring):
    for seed in (0, 3):
        settings = replace(SETTINGS, training=replace(SETTINGS.training, seed=seed))
        run = exploring._runs.start(TEXT, settings)
        state = exploring._runs.state(run)
        assert state.step == 0
        fresh = begin(exploring._runs.text(run), settings.tokenizer, *settings.applied(), settings.bpe_vocab)
        model, _ = untrained(state.config, state.training.seed)
        for name, parameter in state.model.state_dict().items():
            assert torch.equal(parameter, fresh.model.state_dict()[name]), name
            assert torch.equal(parameter, model.state_dict()[name]), name


def test_the_lens_shows_the_models_own_answer_in_its_last_row(exploring, explored):
    exploration, selection = explored
    rows, figure, note = LensTab(exploring).show(exploration, selection)
    view = exploration.view
    expected = logit_lens(exploration.state.model, torch.tensor(view.ids)).softmax(dim=-1)
    np.testing.assert_allclose(figure.data[0].z, expected.max(dim=-1).values, atol=1e-6)
    for query in range(len(view.tokens)):
        (best, probability), *_ = exploration.candidates(exploration.position_of(query))[0]
        assert figure.data[0].z[3][query] == pytest.approx(probability, abs=1e-6)
        assert figure.data[0].text[3][query] == for_plotly(best)
    assert list(figure.data[1].text) == [*map(for_plotly, exploration.names[1:]), "?"]
    assert json.dumps(rows).count('"li"') == 6
    assert "one matrix both reads and writes" in json.dumps(note)
    assert figure.layout.shapes[0].x0 == selection.position - 1.5


def test_the_radio_colours_the_token_that_came(exploring, explored):
    exploration, selection = explored
    tab = LensTab(exploring)
    chosen = tab._choose("the token that came", selection)
    figure = tab.show(exploration, chosen)[1]
    p = logit_lens(exploration.state.model, torch.tensor(exploration.view.ids)).softmax(dim=-1).numpy()
    for query, index in enumerate(exploration.ids[1:]):
        np.testing.assert_allclose(figure.data[0].z[:, query], p[:, query, index], atol=1e-6)
    assert np.isnan(figure.data[0].z[:, -1]).all()
    # A browser can send anything.
    assert tab._choose("nonsense", selection) == selection


def test_a_cell_chooses_the_token_that_it_answers_with(exploring, explored):
    exploration, selection = explored
    shown = exploring.pick_column(selection, clicked(0, 4))
    assert len(shown) == N_SHOWN
    assert shown[-1] == replace(selection, position=5)
    for nowhere in ((4, 0), (0, len(exploration.view.tokens)), (-1, 0)):
        assert exploring.pick_column(selection, clicked(*nowhere))[-1] == gr.skip()
    forgotten = exploring.pick_column(Selection(key="gone"), clicked(0, 0))
    assert "no longer in memory" in json.dumps(forgotten[0])


def test_a_long_text_is_shown_as_far_as_the_model_sees_it(exploring):
    run = exploring._runs.start(TEXT, SETTINGS)
    exploration = exploring.explorer.explore(run, "the red ball . " * 5, SamplingConfig(4, 0.8, None, None, 0))
    selection = exploring.explorer.keep(exploration, Selection())
    figure = LensTab(exploring).show(exploration, selection)[1]
    assert exploration.view.dropped > 0
    assert list(figure.layout.xaxis.ticktext) == list(map(for_plotly, exploration.names[-16:]))
    assert list(figure.data[1].text) == [*map(for_plotly, exploration.names[-15:]), "?"]
    shown = exploring.pick_column(selection, clicked(0, 15))
    assert shown[-1].position == len(exploration.ids)


def test_the_maps_are_those_of_the_embedding_before_training_and_now(explored):
    exploration, selection = explored
    tab = MapTab()
    note, before_title, before, now_title, now = tab.show(exploration, selection)
    fresh = begin(TEXT, "word", *SETTINGS.applied())
    for figure, title, state in ((before, before_title, fresh), (now, now_title, exploration.state)):
        expected = embedding_map(state.model.embed.weight)
        drawn = places_on(figure)
        assert len(drawn) == state.config.d_vocab
        for i, place in enumerate(expected.places):
            assert drawn[for_page(state.tokenizer.token(i))] == pytest.approx(place, abs=1e-5)
        shares = " + ".join(f"{100 * share:.0f}%" for share in expected.explained)
        assert f"{shares} of all differences; the rest is not on this map" in json.dumps(title)
    assert "one matrix both reads and writes tokens" in json.dumps(note)
    assert "At step 20" in json.dumps(now_title)
    # Another token of the same text: the same maps, not made again.
    assert tab.show(exploration, replace(selection, position=1))[2] is before


def places_on(figure: str) -> dict[str, tuple[float, float]]:
    """Where each token is, by what hovering over it says."""
    return {
        html.unescape(said).split("\u2068")[1].split("\u2069")[0]: (x, y)
        for trace in json.loads(figure)["data"]
        for said, x, y in zip(trace["customdata"], array(trace["x"]), array(trace["y"]), strict=True)
    }


def array(sent: dict[str, str] | list[float]) -> np.ndarray:
    if isinstance(sent, list):
        return np.array(sent)
    return np.frombuffer(base64.b64decode(sent["bdata"]), sent["dtype"])


def test_an_embedding_that_is_not_all_numbers_is_told_and_not_drawn(explored):
    exploration, selection = explored
    with torch.no_grad():
        exploration.state.model.embed.weight[0, 0] = torch.nan
    said, *rest = MapTab().show(exploration, selection)
    assert "not numbers" in json.dumps(said)
    assert rest == [[], None, [], None]


def test_one_scale_serves_both_maps_unless_one_would_be_a_speck():
    assert map_tab.scaled(1.0, 2.5) == ((2.5, 2.5), "Both maps have the same scale.")
    reaches, said = map_tab.scaled(0.1, 1.2)
    assert reaches == (0.1, 1.2)
    assert said == "The map before training is drawn 12 times as large as the other."
    assert map_tab.scaled(4.0, 1.0)[1] == "The map of now is drawn 4 times as large as the other."


def test_the_note_says_which_matrix_it_is_and_how_much_is_drawn():
    assert "a matrix of its own" in json.dumps(map_tab.note(False, 100, ""))
    assert "most frequent" not in json.dumps(map_tab.note(True, 2000, ""))
    assert "The 2,000 most frequent of 8,193 tokens are drawn." in json.dumps(map_tab.note(True, 8193, ""))
