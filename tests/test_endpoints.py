"""The page as a program uses it: every endpoint, against the runs behind it."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from served import Served

import minigpt
from minigpt.runs import Progress

TEXT = "the old king saw the small dog . the dog ran to the old king . he fed it .\n" * 12
TINY = {"steps": 12, "layers": 2, "heads": 2, "width": 16, "context": 16, "batch": 2}
LONG = TINY | {"steps": 100_000}
LIMIT = 60  # s; a loaded machine is slow, and a test must say so only when something is wrong
NO_RUN = "This run is not here any more. Press Train to start a new one."


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[Client]:
    client = Client(server.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture
def train(client: Client) -> Iterator[Callable[..., str]]:
    """Starts a run, and stops it after the test: one left at work would slow down all others."""
    started: list[str] = []

    def start(text: str = TEXT, **settings: Any) -> str:
        started.append(client.predict(text, **(TINY | settings), api_name="/train"))
        return started[-1]

    yield start
    for run in started:
        client.predict(run, api_name="/stop")


@pytest.fixture(scope="module")
def finished(client: Client) -> str:
    run = client.predict(TEXT, **TINY, api_name="/train")
    assert follow(client, run)[-1]["state"] == "finished"
    return run


def follow(client: Client, run: str) -> list[dict[str, Any]]:
    job = client.submit(run, api_name="/progress")
    job.result(timeout=LIMIT)
    return job.outputs()


def wait(server: Served, run: str, when: Callable[[Progress], bool]) -> Progress:
    """The run's progress as soon as it is so; fails after a while."""
    for _ in range(20 * LIMIT):
        progress = server.runs.progress(run)
        if when(progress):
            return progress
        time.sleep(0.05)
    raise AssertionError(f"not after {LIMIT} s: {progress.status} at step {progress.step}")


def at_rest(server: Served, run: str) -> Progress:
    """As soon as no slice of the run is out any more."""
    wait(server, run, lambda _: not server.runs.flying(run))
    return server.runs.progress(run)


def refused(call: Callable[[], Any]) -> str:
    """The sentence that a call is refused with: no traceback, no name of a class, and a full stop."""
    with pytest.raises(AppError) as caught:
        call()
    said = str(caught.value)
    assert re.fullmatch(r"[A-Za-z“][^\n]*[.]", said), said
    assert not re.search(r"Traceback|Error|Exception|File \"|object at 0x", said), said
    return said


def test_progress_streams_a_run_from_its_start_to_its_end(client, train, server):
    run = train(steps=60)
    seen = follow(client, run)
    assert seen[-1]["state"] == "finished"
    assert {now["state"] for now in seen[:-1]} <= {"waiting", "training"}
    steps = [now["step"] for now in seen]
    assert steps == sorted(steps)
    assert len(set(steps)) > 2
    assert steps[-1] == seen[-1]["n_steps"] == 60
    history = server.runs.progress(run).history
    assert seen[-1]["train_loss"] == history.train[-1][1]
    assert seen[-1]["validation_loss"] == history.validation[-1][1]
    assert seen[-1]["sample"] == history.samples[-1][1]


def test_progress_says_what_a_run_had_to_change(client, train):
    run = train("one two three four five six seven eight", steps=1)
    assert follow(client, run)[-1]["message"].startswith("The text has only 8 tokens, so the model sees ")


def test_progress_says_why_a_run_stopped_by_itself(client, train):
    run = train(learning_rate=100, optimiser="adamw", steps=60)
    last = follow(client, run)[-1]
    assert last["state"] == "failed"
    assert re.fullmatch(
        r"The loss .*A learning rate of 100 is too large for this model\. Try 0\.005\.", last["message"]
    )


@pytest.mark.parametrize(
    "sampling",
    [{}, {"temperature": 0}, {"top_k": 3, "seed": 5}, {"top_p": 0.5, "temperature": 2.5, "max_new_tokens": 30}],
)
def test_generate_writes_what_the_same_checkpoint_writes_in_a_notebook(client, server, finished, sampling):
    got = client.predict(finished, "the old king", **{"max_new_tokens": 9} | sampling, api_name="/generate")
    expected = list(minigpt.generate(server.runs.state(finished), "the old king", **{"max_new_tokens": 9} | sampling))
    assert got["text"] == "".join(token.text for token in expected)
    assert got["tokens"] == [
        {"token": token.token, "probability": token.probability, "rank": token.rank} for token in expected
    ]


def test_the_text_of_letters_is_its_tokens_joined(client, train):
    run = train(tokenizer="letters")
    follow(client, run)
    got = client.predict(run, "the old ", max_new_tokens=20, api_name="/generate")
    assert len(got["tokens"]) == 20
    assert got["text"] == "".join(token["token"] for token in got["tokens"])


@pytest.mark.parametrize("prompt", ["the old king saw", "dog", "the " * 40])
def test_attention_is_what_a_notebook_sees(client, server, finished, prompt):
    got = client.predict(finished, prompt, api_name="/attention")
    view = minigpt.attention(server.runs.state(finished), prompt)
    assert got["tokens"] == list(view.tokens)
    np.testing.assert_array_equal(np.array(got["patterns"], dtype=np.float32), view.pattern)
    assert np.shape(got["patterns"])[:2] == (2, 2)


def test_a_paused_run_rests_and_goes_on_to_its_end(client, server, train):
    run = train(steps=400)
    wait(server, run, lambda progress: progress.step > 0)
    assert client.predict(run, api_name="/pause") == "paused"
    rested = at_rest(server, run).step
    time.sleep(0.5)
    assert server.runs.progress(run).step == rested < 400
    assert client.predict(run, api_name="/resume") in {"waiting", "training"}
    last = follow(client, run)[-1]
    assert (last["state"], last["step"]) == ("finished", 400)


def test_one_step_is_one_step(client, server, train):
    run = train(**LONG)
    wait(server, run, lambda progress: progress.step > 0)
    client.predict(run, api_name="/pause")
    before = at_rest(server, run).step
    assert client.predict(run, api_name="/step") in {"waiting", "training"}
    last = follow(client, run)[-1]
    assert (last["state"], last["step"]) == ("paused", before + 1)


def test_a_stopped_run_keeps_what_it_learned(client, server, train):
    run = train(**LONG)
    wait(server, run, lambda progress: progress.step > 0)
    assert client.predict(run, api_name="/stop") == "stopped"
    step = at_rest(server, run).step
    assert follow(client, run)[-1]["state"] == "stopped"
    assert client.predict(run, "the", max_new_tokens=3, api_name="/generate")["tokens"]
    assert server.runs.state(run).step == step > 0


def test_two_runs_do_not_see_each_other(client, server, train):
    kings, ships = train(), train("a ship sailed over the sea and a wave sank a ship .\n" * 12, steps=20)
    assert kings != ships
    assert follow(client, kings)[-1]["step"] == 12
    assert follow(client, ships)[-1]["step"] == 20
    assert "king" in server.runs.text(kings)
    words_of_ships = {"a", "ship", "sailed", "over", "the", "sea", "and", "wave", "sank", ".", "\n", "<unk>"}
    written = client.predict(ships, "a ship", max_new_tokens=30, temperature=3, api_name="/generate")["tokens"]
    assert {token["token"] for token in written} <= words_of_ships
    assert client.predict(ships, "king ship", api_name="/attention")["tokens"] == ["<unk>", "ship"]
    assert client.predict(kings, "king ship", api_name="/attention")["tokens"] == ["king", "<unk>"]


def test_steering_one_run_leaves_the_other_alone(client, server, train):
    one, other = train(**LONG), train(**LONG)
    client.predict(one, api_name="/stop")
    before = server.runs.progress(other).step
    assert wait(server, other, lambda progress: progress.step > before).status in {"waiting", "training"}
    assert server.runs.progress(one).status == "stopped"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"layers": 0}, "layers"),
        ({"layers": 10**9}, "layers"),
        ({"layers": 64, "width": 4096}, "parameters"),
        ({"heads": 3}, "3 heads"),
        ({"heads": 0}, "heads"),
        ({"width": -8}, "width"),
        ({"width": 2.5}, "whole number"),
        ({"width": "wide"}, "whole number"),
        ({"context": 10**6}, "context"),
        ({"mlp": -1}, "mlp"),
        ({"positions": "upside down"}, "positions"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**12}, "steps"),
        ({"batch": 10**6}, "batch"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"optimiser": "magic"}, "optimiser"),
        ({"seed": -1}, "seed"),
        ({"steps": True}, "steps"),
        ({"tokenizer": "syllables"}, "tokenizer"),
        ({"tokenizer": ["words"]}, "tokenizer"),
        ({"tokenizer": "pieces", "pieces": 3}, "Pieces"),
        ({"tokenizer": "pieces", "pieces": "many"}, "pieces"),
        ({"context": 4096, "batch": 1024}, "batch"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_settings_that_cannot_be_are_refused_with_a_sentence_that_names_them(client, settings, names):
    text = "the old king saw the small dog . " * 1500 if "context" in settings else TEXT
    said = refused(lambda: client.predict(text, **(TINY | settings), api_name="/train"))
    assert re.search(names.replace("_", "."), said, re.IGNORECASE)


@pytest.mark.parametrize("text", ["", "   ", "king"])
def test_a_text_without_words_is_refused_with_what_would_work(client, text):
    said = refused(lambda: client.predict(text, api_name="/train"))
    assert "Paste at least 20 words" in said


def test_a_text_too_long_is_refused_before_it_is_read(client):
    said = refused(lambda: client.predict("a " * 1_000_001, api_name="/train"))
    assert said.startswith("This text has 2,000,002 letters and 2,000,000 fit.")


@pytest.mark.parametrize("run", ["", "x", "A" * 22, "../../../../etc/passwd", ".."])
@pytest.mark.parametrize("endpoint", ["progress", "pause", "resume", "step", "stop", "generate", "attention"])
def test_an_id_that_no_run_has_is_refused_with_what_to_do(client, endpoint, run):
    prompt = ("the king",) if endpoint in {"generate", "attention"} else ()
    assert refused(lambda: client.predict(run, *prompt, api_name=f"/{endpoint}")) == NO_RUN


@pytest.mark.parametrize("run", [None, 5, True, ["a"], {"a": 1}, ["a"] * 10_000])
@pytest.mark.parametrize("endpoint", ["progress", "pause", "attention"])
def test_an_id_that_is_no_string_is_refused_in_one_short_line(client, endpoint, run):
    prompt = ("the king",) if endpoint == "attention" else ()
    said = refused(lambda: client.predict(run, *prompt, api_name=f"/{endpoint}"))
    assert said.startswith("run_id must be a string, not ")
    assert len(said) < 100


@pytest.mark.parametrize(
    ("sampling", "names"),
    [
        ({"max_new_tokens": 0}, "tokens"),
        ({"max_new_tokens": 10**9}, "tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"top_k": -3}, "top_k"),
        ({"top_k": "some"}, "top_k"),
        ({"top_p": 1.5}, "top_p"),
        ({"seed": 0.5}, "seed"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_sampling_that_cannot_be_is_refused_with_a_sentence_that_names_it(client, finished, sampling, names):
    said = refused(lambda: client.predict(finished, "the king", **sampling, api_name="/generate"))
    assert re.match(rf"\S*{names.replace('_', '.')} must be ", said, re.IGNORECASE)


@pytest.mark.parametrize("prompt", [None, 7, ["the"]])
@pytest.mark.parametrize("endpoint", ["generate", "attention"])
def test_a_prompt_that_is_no_string_is_refused(client, finished, endpoint, prompt):
    said = refused(lambda: client.predict(finished, prompt, api_name=f"/{endpoint}"))
    assert said == f"prompt must be a string, not {prompt!r}."


@pytest.mark.parametrize("prompt", ["", "  "])
@pytest.mark.parametrize("endpoint", ["generate", "attention"])
def test_a_prompt_without_tokens_is_refused_with_an_example(client, finished, endpoint, prompt):
    said = refused(lambda: client.predict(finished, prompt, api_name=f"/{endpoint}"))
    assert said == "The prompt is empty. Write at least one token to go on from, for example: the, old, king."


@pytest.mark.parametrize(
    "hostile",
    ["<b>", "<script>alert(1)</script>", "%{z}", "$x^2$", "${alert(1)}", "{{7*7}}", "\u0301evil", "a\x00b"],
)
def test_hostile_text_travels_as_text(client, train, hostile):
    run = train(f"the {hostile} king saw the {hostile} dog . " * 10, tokenizer="letters", steps=2)
    follow(client, run)
    prompt = f"the {hostile}"
    seen = client.predict(run, prompt, api_name="/attention")["tokens"]
    assert "".join(seen) == prompt[-16:]


def test_an_answer_that_would_be_too_large_is_refused_before_the_heads_are_asked(
    client: Client, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "the old king saw the dog"  # 6 tokens, 2 layers, 2 heads: 144 numbers
    assert np.shape(client.predict(finished, prompt, api_name="/attention")["patterns"]) == (2, 2, 6, 6)
    monkeypatch.setenv("MINIGPT_CELLS", "143")
    with pytest.raises(AppError, match=r"That would be 144 numbers, and 143 fit into one answer"):
        client.predict(finished, prompt, api_name="/attention")
    assert client.predict(finished, prompt, api_name="/attention_file")
    monkeypatch.setenv("MINIGPT_LOOK_CELLS", "143")
    with pytest.raises(AppError, match=r"144 numbers, and 143 fit\. Write a shorter one"):
        client.predict(finished, prompt, api_name="/attention_file")
