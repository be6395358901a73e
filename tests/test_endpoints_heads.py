"""What programs are told of lessons, heads and the film, against what Python says of the same model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from served import Served
from test_endpoints import LIMIT, TINY, follow, refused

import minigpt
from minigpt.corpora import LESSONS
from minigpt.diagnosis import diagnose, loss_without
from minigpt.film import WHOLE
from minigpt.hooks import muted
from minigpt.promises import find
from minigpt.ui import door, endpoints_heads, endpoints_look, head_words
from minigpt.ui.handlers import Page

PROMPT = "qkzvb|qk"


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[Client]:
    client = Client(server.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def run(client: Client) -> str:
    """A lesson, hardly learned: what is said of it must be true all the same."""
    run = client.predict(lesson="echo", steps=10, batch=4, film_of=PROMPT, api_name="/train")
    assert follow(client, run)[-1]["state"] == "finished"
    return run


@pytest.fixture
def state(server: Served, run: str) -> Any:
    return server.runs.state(run)


# ---- lessons ----


def test_a_lesson_is_trained_as_the_page_trains_it(client, server, run):
    settings, lesson = server.runs.progress(run).settings, LESSONS["echo"]
    assert server.runs.text(run) == lesson.text
    assert settings.lesson == "echo"
    assert settings.tokenizer == lesson.tokenizer
    assert settings.config == lesson.config
    assert settings.training.learning_rate == lesson.training.learning_rate
    assert settings.training.windows == lesson.training.windows
    assert (settings.training.steps, settings.training.batch_size, settings.film_of) == (10, 4, PROMPT)


def test_a_lesson_can_be_changed_by_the_names_that_lessons_tells(client, server):
    told = {lesson["lesson"]: lesson for lesson in client.predict(api_name="/lessons")}
    assert list(told) == list(LESSONS)
    assert len(json.dumps(list(told.values()))) < 10_000
    for name, lesson in told.items():
        assert lesson["settings"]["layers"] == LESSONS[name].config.n_layers
        assert [(label, str(value)) for label, value in lesson["change"].items()] == door.knobs(name, {})
    change = told["reverse"]["change"] | {"Lines": 60}
    run = client.predict(lesson="reverse", change=change, size="wide", steps=1, api_name="/train")
    follow(client, run)
    assert server.runs.text(run) == LESSONS["reverse"].changed({"n_lines": 60}).text
    assert server.runs.progress(run).config.d_model == 96
    assert client.predict(run, api_name="/promise")["kept"] is False


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"text": "a b c", "lesson": "echo"}, "Give a text or a lesson, not both."),
        ({"text": "a b c", "change": {"n_lines": 3}}, "A text of your own has no settings to change."),
        ({"lesson": "echo", "change": {"colour": 3}}, "The text of echo has no setting “colour”. It has: Letters, "),
        ({"lesson": "echo", "change": {"n_lines": "many"}}, "“Lines” must be a number, such as "),
        ({"lesson": "echo", "change": {"n_lines": [3]}}, "“Lines” must be a number, such as "),
        ({"lesson": "none"}, "lesson must be one of stories, echo, "),
        ({"lesson": "echo", "change": ["n_lines"]}, "change must be names with values, not "),
        ({"lesson": "echo", "size": "huge"}, "size must be one of small, wide, deep, no MLP, not 'huge'."),
    ],
)
def test_a_lesson_that_cannot_be_is_refused_with_what_can(client, asked, said):
    assert refused(lambda: client.predict(**asked, api_name="/train")).startswith(said)


def test_the_promise_is_what_python_finds(client, state, run):
    told, found = client.predict(run, api_name="/promise"), find(LESSONS["echo"], state)
    assert (told["kept"], told["share"], told["chance"]) == (found.kept, found.share, found.chance)
    assert told["head"] == f"{found.layer + 1}.{found.head + 1}"
    assert told["best_possible"] == state.history.references.floor
    assert told["says"].startswith(f"Not there. Layer {found.layer + 1} head {found.head + 1} puts ")


def test_a_text_of_ones_own_is_promised_nothing(client):
    run = client.predict("the old king saw the small dog . " * 20, **(TINY | {"steps": 1}), api_name="/train")
    assert client.predict(run, api_name="/promise") == {
        "kept": None,
        "says": "Only a lesson promises something, and this run is of none.",
    }
    client.predict(run, api_name="/stop")


# ---- heads ----


def test_heads_are_told_in_words_with_chance_and_cost(client, state, run):
    told, found = client.predict(run, api_name="/heads"), diagnose(state)
    assert found is not None
    assert told["step"] == 10
    assert told["message"] == head_words.scored_on(found)
    assert [head["head"] for head in told["heads"]] == ["1.1", "1.2", "2.1", "2.2"]
    for head in told["heads"]:
        layer, place = (int(number) - 1 for number in head["head"].split("."))
        scored = found.scores[layer][place]
        assert head["role"] == head_words.role(scored, state.tokenizer)
        assert head["cost"] == pytest.approx(loss_without(state, [(layer, place)]) - loss_without(state), abs=1e-6)
        assert head["says"].startswith(" ".join(head_words.said(scored, state.tokenizer.kind)))
        assert head["says"].endswith(f"Without it the validation loss {head_words.change(head['cost'])}.")
    quick = client.predict(run, cost=False, api_name="/heads")
    assert all("cost" not in head for head in quick["heads"])


def test_a_large_model_is_measured_a_few_heads_at_a_time(monkeypatch, server, state, run):
    calls = endpoints_heads.HeadCalls(Page(server.runs))
    monkeypatch.setattr(endpoints_heads, "PATIENCE", -1)
    told = calls.heads(None, run)
    assert told["message"].endswith("0 of 4 heads muted so far: ask again for more.")
    monkeypatch.setattr(endpoints_heads, "PATIENCE", 60)
    assert all("cost" in head for head in calls.heads(None, run)["heads"])


def test_heads_switched_off_change_the_loss_and_the_text_and_not_the_run(client, server, state, run):
    off = ["1.2", "2.1"]
    told = client.predict(run, off, prompt=PROMPT, max_new_tokens=12, seed=3, api_name="/mute")
    assert told["loss"] == pytest.approx(loss_without(state))
    assert told["loss_without"] == pytest.approx(loss_without(state, [(0, 1), (1, 0)]))
    assert told["says"].startswith("Muted 1.2 and 2.1. ")
    sampling = {"max_new_tokens": 12, "seed": 3}
    assert told["text"] == client.predict(run, PROMPT, **sampling, api_name="/generate")["text"]
    with muted(state.model, [(0, 1), (1, 0)]):
        without = "".join(token.text for token in minigpt.generate(state, PROMPT, **sampling))
    assert told["text_without"] == without
    assert set(client.predict(run, off, api_name="/mute")) == {"says", "loss", "loss_without"}


@pytest.mark.parametrize("heads", [["3.1"], ["1.1", "0.0"], ["-1.1"], ["1"], [""], []])
def test_heads_that_the_model_lacks_are_refused_with_those_it_has(client, run, heads):
    said = refused(lambda: client.predict(run, heads, api_name="/mute"))
    assert said.endswith('Its heads are 1.1 to 2.2, such as ["1.1"].')


def test_heads_that_are_no_list_of_names_are_refused(client, run):
    for heads in ("1.1", [1.1], None, {"1": "1"}):
        said = refused(lambda heads=heads: client.predict(run, heads, api_name="/mute"))
        assert said.startswith("heads must be a list of strings, not ")


# ---- looking ----


def test_generate_and_attention_name_what_the_model_does_not_know_and_what_it_did_not_read(client, run, state):
    prompt = "Ä" + PROMPT * 5
    for endpoint in ("/generate", "/attention"):
        told = client.predict(run, prompt, api_name=endpoint)
        assert told["unknown"] == ["Ä"]
        assert "“Ä” is not in the training text" in told["message"]
        assert "The prompt has 41 tokens and the model sees 32 at once. Only the newest are read." in told["message"]
        plain = client.predict(run, PROMPT, api_name=endpoint)
        assert (plain["unknown"], plain["message"]) == ([], "")
    assert client.predict(run, prompt, api_name="/attention")["dropped"] == 41 - state.config.n_ctx
    assert plain["dropped"] == 0


def test_a_file_holds_what_attention_answers(client, run, server):
    seen = client.predict(run, PROMPT, api_name="/attention")
    path = Path(client.predict(run, PROMPT, api_name="/attention_file"))
    with np.load(path, allow_pickle=False) as kept:
        np.testing.assert_allclose(kept["pattern"], seen["patterns"], atol=1e-6)
        assert list(kept["tokens"]) == seen["tokens"]
    assert path.name == "minigpt-patterns-step-10.npz"
    rows = Path(client.predict(run, PROMPT, "csv", api_name="/attention_file")).read_text("utf-8-sig").splitlines()
    assert len(rows) == 1 + 4 * 8 * 9 // 2


def test_only_the_newest_files_are_kept(monkeypatch, server, run):
    calls = endpoints_look.Looking(Page(server.runs))
    monkeypatch.setattr(endpoints_look, "MAX_FILES", 2)
    paths = [Path(calls.attention_file(None, run, PROMPT).path) for _ in range(4)]
    assert [path.exists() for path in paths] == [False, False, True, True]


def test_the_film_tells_its_moments_and_shows_one_whole(client, server, run, state):
    film, told = server.runs.film(run), client.predict(run, api_name="/film")
    assert "".join(told["tokens"]) == PROMPT
    assert [moment["step"] for moment in told["moments"]] == list(film)
    assert "patterns" not in told
    assert client.predict(run, step=100, api_name="/film")["step"] == 10
    shown = client.predict(run, step=3, api_name="/film")
    assert shown["step"] == 3
    np.testing.assert_allclose(shown["patterns"], film[3].pattern / WHOLE, atol=1e-6)
    assert shown["next"] == [state.tokenizer.token(int(index)) for index in film[3].logits.argmax(axis=-1)]
    assert shown["next"][-1] == next(moment["next"] for moment in told["moments"] if moment["step"] == 3)


def test_a_moment_too_large_for_an_answer_is_refused_and_the_rest_of_the_film_is_not(client, run, monkeypatch):
    monkeypatch.setenv("MINIGPT_CELLS", "100")
    said = refused(lambda: client.predict(run, step=3, api_name="/film"))
    assert said == "A moment of this film has 256 numbers, and 100 fit. Film a shorter sentence."
    assert len(client.predict(run, api_name="/film")["moments"]) > 3


def test_a_head_is_born_at_the_first_moment_from_which_its_job_stays():
    class Frame:
        def __init__(self, step: int, *jobs: tuple[int, int, int]) -> None:
            self.step, self._jobs = step, list(jobs)

        def jobs(self) -> list[tuple[int, int, int]]:
            return self._jobs

    previous, current = 0, 1
    film = [
        Frame(0, (0, 0, previous), (1, 2, current)),
        Frame(1, (1, 2, previous)),
        Frame(2, (0, 0, previous), (1, 2, current)),
        Frame(3, (0, 0, previous), (1, 2, current), (1, 0, previous)),
    ]
    assert endpoints_look._births(film, "word") == [
        {"head": "1.1", "job": "previous", "since_step": 2},
        {"head": "2.3", "job": "itself", "since_step": 2},
        {"head": "2.1", "job": "previous", "since_step": 3},
    ]


@pytest.mark.parametrize("endpoint", ["promise", "heads", "film", "mute", "attention_file"])
def test_an_id_that_no_run_has_is_refused_by_these_too(client, endpoint):
    more = {"mute": (["1.1"],), "attention_file": ("a",)}.get(endpoint, ())
    said = refused(lambda: client.predict("x" * 22, *more, api_name=f"/{endpoint}"))
    assert said == "This run is not here any more. Press Train to start a new one."


def test_progress_tells_how_a_run_stands_without_waiting_for_its_end(client):
    run = client.predict(lesson="markov", steps=100_000, api_name="/train")
    job = client.submit(run, 0, api_name="/progress")
    assert job.result(timeout=LIMIT)["state"] in {"waiting", "training"}
    assert len(job.outputs()) == 1
    client.predict(run, api_name="/stop")
