"""A disk that is full, freed, read-only or wiped: training goes on in memory, and catches up to the same bits."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gate import SETTINGS, TEXT, Gate, alone, same_model, until

from minigpt.checkpoint import load
from minigpt.runs import Runs, keeping, scheduler, store, worker
from minigpt.runs.room import Held, leaving


@pytest.fixture(autouse=True)
def slow_and_forgetful(monkeypatch) -> None:
    """One step a slice, and the files are written again only when a test says so."""
    monkeypatch.setattr(scheduler, "SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(scheduler, "SAVE_AGAIN_SECONDS", 600.0)


def refuse_with(monkeypatch, number: int) -> None:
    def refused(path: Path, data: bytes) -> None:
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(store, "replace_file", refused)


def assert_whole(runs: Runs, run_id: str, said: str = "") -> None:
    """On the disk, for a server that knows nothing of it, is what an undisturbed run leaves."""
    worker._KEPT.clear()
    again = Runs(runs.folder, Gate, 1)
    progress = again.progress(run_id)
    assert (progress.status, progress.step, progress.said) == ("finished", 30, said)
    assert same_model(load(runs.folder / run_id), alone(30))
    assert again.text(run_id) == TEXT
    assert list(again.film(run_id))[-1] == 30


@pytest.mark.parametrize(
    ("number", "why"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the disk may only be read"), (errno.EIO, "takes nothing")],
)
@pytest.mark.parametrize("saved", [True, False])
def test_training_goes_on_in_memory_says_so_and_catches_up(tmp_path, monkeypatch, number, why, saved):
    gate = Gate()
    runs = Runs(tmp_path, lambda: gate, 1)
    if not saved:
        refuse_with(monkeypatch, number)
    run_id = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(run_id).step >= 4)
    refuse_with(monkeypatch, number)
    since = runs.progress(run_id).step
    until(gate, lambda: runs.progress(run_id).step >= 9)
    worker._KEPT.clear()  # Nobody but the server has it now.
    until(gate, lambda: runs.progress(run_id).step >= 12)
    said = runs.progress(run_id).unsaved
    assert why in said
    assert (f"what came after step {since} would be lost" if saved else "this run would be lost") in said
    assert str(tmp_path) not in said
    assert runs.state(run_id).step == 12  # What is explored is the newest.
    assert runs.film(run_id)[12].step == 12
    runs.pause(run_id)
    until(gate, lambda: not gate.line)
    runs.save_again()
    assert runs.progress(run_id).unsaved.endswith("lost.")
    monkeypatch.undo()
    runs.save_again()
    assert runs.progress(run_id).unsaved == ""
    assert not runs._runs[run_id].folder.unsaved
    runs.resume(run_id)
    until(gate, lambda: runs.progress(run_id).status == "finished")
    assert_whole(runs, run_id)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_folder_that_somebody_deletes_is_there_again_whoever_takes_the_next_slice(tmp_path, forgotten):
    gate = Gate()
    runs = Runs(tmp_path / "deep" / "runs", lambda: gate, 1)
    run_id = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(run_id).step >= 6)
    shutil.rmtree(tmp_path / "deep")
    if forgotten:
        worker._KEPT.clear()
    until(gate, lambda: runs.progress(run_id).status == "finished")
    # Who has the state in memory need not train anew, and so the earlier moments stay away.
    assert_whole(runs, run_id, "" if forgotten else "5 moments of the film are missing. The model is whole.")
    assert (tmp_path / "deep" / "runs").stat().st_mode & 0o077 == 0


def test_no_more_runs_begin_than_fit_into_memory_while_nothing_can_be_saved(tmp_path, monkeypatch):
    refuse_with(monkeypatch, errno.ENOSPC)
    monkeypatch.setattr(scheduler, "MAX_UNSAVED", 10_000)
    runs = Runs(tmp_path, Gate, 1)
    runs.start(TEXT, SETTINGS)
    with pytest.raises(ValueError, match="The disk of this server takes nothing"):
        runs.start(TEXT, SETTINGS)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 4 MB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk may be mounted here; the other tests refuse at the file layer")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_on_a_real_disk_that_is_filled_freed_and_made_read_only(small_disk):
    gate = Gate()
    runs = Runs(small_disk / "runs", lambda: gate, 1)
    run_id = runs.start(TEXT, SETTINGS)
    until(gate, lambda: runs.progress(run_id).step >= 4)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 5_000_000)
    assert shutil.disk_usage(small_disk).free < 4096
    until(gate, lambda: runs.progress(run_id).step >= 9)
    assert "the disk is full" in runs.progress(run_id).unsaved
    assert list(small_disk.rglob("*.partial")) == []
    filler.unlink()
    gate.let_through()
    assert runs.progress(run_id).unsaved == ""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    until(gate, lambda: runs.progress(run_id).step >= 14)
    assert "the disk may only be read" in runs.progress(run_id).unsaved
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    until(gate, lambda: runs.progress(run_id).status == "finished")
    assert runs.progress(run_id).unsaved == ""
    assert_whole(runs, run_id)


def test_what_was_being_written_when_somebody_was_killed_is_swept_unless_it_is_new(tmp_path):
    runs = Runs(tmp_path, Gate, 1)
    run_id = runs.start(TEXT, SETTINGS)
    old, new = tmp_path / run_id / "state.safetensors.1.partial", tmp_path / run_id / "run.json.2.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    runs.wake()
    assert (old.exists(), new.exists()) == (False, True)
    runs.close()
    assert not new.exists()


def test_bytes_are_capped_and_the_oldest_of_whoever_has_most_leave(tmp_path, monkeypatch):
    gate = Gate()
    runs = Runs(tmp_path, lambda: gate, 1)

    def finished(owner: str) -> str:
        run_id = runs.start(TEXT, SETTINGS, steps=1, owner=owner)
        until(gate, lambda: not gate.line)
        return run_id

    theirs = [finished("they") for _ in range(2)]
    size = sum(file.stat().st_size for file in (tmp_path / theirs[0]).rglob("*") if file.is_file())
    monkeypatch.setenv("MINIGPT_RUNS_MB", "11")
    monkeypatch.setattr(scheduler, "MB", size // 2)
    mine = [finished("me") for _ in range(6)]
    assert {path.name for path in tmp_path.iterdir()} == {*theirs, *mine[3:]}


def test_many_small_runs_push_out_none_of_anybody_else():
    others = [Held(f"o{i}", f"visitor {i % 3}", 1000) for i in range(30)]
    mine = [Held(f"m{i}", "me", 1) for i in range(520)]
    gone = leaving([*others, *mine], 10**9, 500, {"m519"})
    assert gone == [f"m{i}" for i in range(50)]
    assert leaving([Held("m", "me", 10)], 1, 500, {"m"}) == []


def test_a_run_that_waits_for_room_keeps_its_place_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "MAX_IN_MEMORY", 1)
    gate = Gate()
    runs = Runs(tmp_path, lambda: gate, 1)
    refuse_with(monkeypatch, errno.ENOSPC)
    ids = [runs.start(TEXT, SETTINGS, steps=1) for _ in range(3)]
    until(gate, lambda: not gate.line)
    assert [runs.progress(run_id).step for run_id in ids] == [1, 1, 1]
    assert keeping.STATE in runs._runs[ids[0]].folder.unsaved
