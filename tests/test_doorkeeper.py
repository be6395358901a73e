"""Who may ask the server, and how much may be sent: by what a browser of another site, a proxy or a program sends."""

import json
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from minigpt.ui.doorkeeper import Pace, doorkeeper

LAN = "192.168.1.5:7860"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    for name in ("MINIGPT_ORIGINS", "SPACE_HOST"):
        monkeypatch.delenv(name, raising=False)

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"read {len(await request.body())}")

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    with TestClient(Starlette(routes=routes, middleware=[doorkeeper()])) as client:
        yield client


def status(client: TestClient, host: str, origin: str = "", **more: str) -> int:
    headers = {"host": host, **({"origin": origin} if origin else {}), **more}
    return client.post("/gradio_api/queue/join", content="{}", headers=headers).status_code


@pytest.mark.parametrize(
    ("host", "origin", "more"),
    [
        (LAN, "", {}),  # curl, gradio_client
        (LAN, f"http://{LAN}", {}),
        ("localhost:7860", "http://localhost:7860", {}),
        ("[::1]:7860", "http://[::1]:7860", {}),
        ("teacher.local:7860", "http://teacher.local:7860", {}),
        ("abc.gradio.live", "https://abc.gradio.live", {}),
        ("127.0.0.1:7860", "https://school.example", {"x-forwarded-host": "school.example"}),  # behind a proxy
    ],
)
def test_the_pages_own_site_and_programs_are_let_in(
    client: TestClient, host: str, origin: str, more: dict[str, str]
) -> None:
    assert status(client, host, origin, **more) == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (LAN, "https://evil.example"),
        (LAN, "null"),
        (LAN, "http://192.168.1.5:8000"),  # another server on the same machine
        ("localhost:7860", "http://localhost:3000"),
        ("evil.example:7860", "http://evil.example:7860"),  # its own name leads here
        ("evil.example:7860", ""),
        ("", ""),
    ],
)
def test_another_site_is_refused_whatever_name_it_uses(client: TestClient, host: str, origin: str) -> None:
    assert status(client, host, origin) == 403


def test_a_site_is_allowed_by_its_name(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGPT_ORIGINS", "https://school.example, https://other.example/")
    assert status(client, LAN, "https://school.example") == 200
    assert status(client, LAN, "https://other.example") == 200
    assert status(client, "school.example", "https://school.example") == 200
    assert status(client, LAN, "https://school.example.evil.example") == 403
    assert status(client, LAN, "http://school.example") == 403


def test_a_space_is_asked_by_its_own_name_in_the_frame_of_the_hub(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(client, "me-mini.hf.space", "https://me-mini.hf.space") == 403
    monkeypatch.setenv("SPACE_HOST", "me-mini.hf.space")
    assert status(client, "me-mini.hf.space", "https://me-mini.hf.space") == 200
    assert status(client, "10.0.0.7:7860", "https://me-mini.hf.space") == 200  # a proxy may name it by its number
    assert status(client, "me-mini.hf.space", "https://huggingface.co") == 403
    # The frame itself is opened from there, as any link is.
    framed = {"host": "me-mini.hf.space", "origin": "https://huggingface.co", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=framed).status_code == 200


def test_what_is_sent_is_read_once_and_whole(client: TestClient) -> None:
    text = json.dumps({"data": ["é, [" * 400_000]})
    assert client.post("/gradio_api/queue/join", content=text).text == f"read {len(text.encode())}"


def test_no_more_than_the_longest_text_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGPT_LETTERS", "1000")
    told = client.post("/gradio_api/queue/join", content=b" " * 1_006_001)
    assert told.status_code == 413
    assert told.text == "At most 1,006,000 bytes fit into one request: a text of 1,000 letters."
    untold = client.post("/gradio_api/queue/join", content=iter([b" " * 600_000] * 1000))
    assert untold.status_code == 413
    assert client.post("/gradio_api/queue/join", content=b" " * 1_006_000).status_code == 200


def test_many_small_parts_are_refused_before_they_are_made(client: TestClient) -> None:
    empty = json.dumps({"data": [[]] * 400_000})
    answer = client.post("/gradio_api/queue/join", content=empty)
    assert (answer.status_code, answer.text) == (
        413,
        "What was sent has 800,002 parts, and 100,000 fit. Send one text as one string.",
    )


def test_who_asks_many_things_at_once_is_let_in_at_a_pace_and_others_are_not_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINIGPT_CALLS_A_SECOND", "10")
    pace, now = Pace(), 100.0
    waits = [pace.wait("many", now) for _ in range(50)]
    assert waits[:20] == [0] * 20
    assert waits[20:] == pytest.approx([(index + 1) / 10 for index in range(30)])
    assert pace.wait("another", now) == 0
    assert pace.wait("many", now + 3) == pytest.approx(0.1)
    assert pace.wait("many", now + 60) == 0
    # Who asks in step is never held up, however long that goes on.
    assert not any(pace.wait("in step", now + index / 10) for index in range(500))


def test_who_would_wait_too_long_is_told_so_and_not_counted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGPT_CALLS_A_SECOND", "1")
    pace = Pace()
    assert max(pace.wait("many", 0.0) for _ in range(30)) == pytest.approx(10)
    assert {pace.wait("many", 0.0) for _ in range(9)} == {11.0}
    assert pace.wait("many", 1.0) == pytest.approx(10)
    monkeypatch.setattr("minigpt.ui.doorkeeper._PATIENCE", 0.0)
    answers = [client.post("/echo", content=b"{}") for _ in range(22)]
    assert [answer.status_code for answer in answers[:20]] == [200] * 20
    assert answers[-1].status_code == 429
    assert answers[-1].text.startswith("More than 1 requests of yours came every second")
    assert client.get("/page").status_code == 200, "reading is not held up"


def test_the_pace_forgets_who_has_not_asked_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGPT_SESSIONS", "3")
    pace = Pace()
    for index in range(50):
        pace.wait(f"visitor {index}", float(index))
    assert len(pace._until) <= 4
