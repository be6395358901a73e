"""The server ends as it is asked to, with its workers, in the midst of a slice; the next one goes on unwatched."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from own_server import own_server

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs import Runs, RunSettings, hold, local
from minigpt.runs.local import Worker

ROOT = Path(__file__).parent.parent
TEXT = "the dog saw the cat . the cat saw the old dog . the old dog ran on .\n" * 40
SETTINGS = RunSettings(
    config=GPTConfig(n_ctx=64, d_model=128, n_heads=4, n_layers=4),
    training=TrainingConfig(steps=100_000, batch_size=12, sample_tokens=3),
)


def left_at_work(folder: Path) -> str:
    """A run that an earlier server was about to train."""
    runs = Runs(folder, Worker, 1)
    run_id = runs.start(TEXT, SETTINGS)
    runs.close()
    return run_id


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.slow
@pytest.mark.parametrize("ask", ["SIGTERM", "SIGINT", "SIGINT to all"])
def test_the_server_and_its_workers_end_within_five_seconds_and_leave_nothing(tmp_path, ask):
    folder, temporary = tmp_path / "runs", tmp_path / "temporary"
    temporary.mkdir()
    run_id = left_at_work(folder)
    before = (folder / run_id / "state.safetensors").stat().st_mtime_ns
    env = {**os.environ, "MINIGPT_RUNS": str(folder), "TMPDIR": str(temporary), "CPU_CORES": "2"}
    command = [sys.executable, str(ROOT / "app.py")]
    server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, start_new_session=True)  # fmt: skip
    try:
        assert any(line.startswith("miniGPT is at http") for line in server.stdout)
        end = time.monotonic() + 240
        while (folder / run_id / "state.safetensors").stat().st_mtime_ns == before:  # Nobody looks at it.
            assert time.monotonic() < end, "the run does not go on by itself"
            time.sleep(0.05)
        workers = psutil.Process(server.pid).children(recursive=True)
        assert len(workers) >= 2
        began = time.monotonic()
        if ask.endswith("all"):
            os.killpg(server.pid, signal.SIGINT)
        else:
            server.send_signal(getattr(signal, ask))
        _, errors = server.communicate(timeout=30)
        assert time.monotonic() - began < 5
        _, alive = psutil.wait_procs(workers, timeout=2)
        assert (alive, server.returncode, "Traceback" in errors) == ([], 0, False)
        assert list(folder.rglob("*.partial")) == []
        assert [path for path in temporary.rglob("*") if path.is_file()] == []
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.communicate()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    env = {**os.environ, "MINIGPT_RUNS": str(tmp_path / "file" / "runs")}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Runs cannot be kept in ")
    assert done.stderr.endswith("Name another folder in MINIGPT_RUNS.\n")


def test_a_folder_of_runs_has_one_server_until_that_is_gone_however_it_went(tmp_path):
    with own_server(tmp_path / "runs", tmp_path) as first:
        env = {**os.environ, "MINIGPT_RUNS": str(tmp_path / "runs")}
        command = [sys.executable, "app.py"]
        second = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"Another server keeps its runs in {tmp_path / 'runs'}. End it, or name another folder in MINIGPT_RUNS.\n"
        )
        first.kill()
        first.start()  # On the same folder: nothing of the lock is left.
        assert first.process.poll() is None


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_folder_that_knows_no_locks_has_a_server_all_the_same(tmp_path, monkeypatch, number):
    def refuse(*_: object, **__: object) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local, "lock_descriptor", refuse)
    assert hold(tmp_path)
    assert hold(tmp_path / "not there")
