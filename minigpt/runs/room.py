"""Room on the disk: whose runs take how much, and which leave when there is too little."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from minigpt.runs import store
from minigpt.runs.store import Folder


@dataclass(frozen=True)
class Held:
    """A run on the disk: whose it is, and how many bytes it takes."""

    run_id: str
    owner: str
    n_bytes: int


def held(parent: Path, owners: dict[str, str]) -> list[Held]:
    """All runs, the one that changed longest ago first. owners: those known by now; those found are added."""
    found = []
    for path in store.oldest_first(parent):
        n_bytes = 0
        with suppress(OSError):  # A run that leaves meanwhile.
            n_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if path.name not in owners:
            owners[path.name] = ""
            with suppress(ValueError):
                owners[path.name] = store.read(Folder(path)).owner
        found.append(Held(path.name, owners[path.name], n_bytes))
    return found


def leaving(runs: Sequence[Held], most_bytes: int, most_runs: int, staying: Collection[str]) -> list[str]:
    """The runs to delete so that the rest fits: the oldest ones of whoever takes most, never one of `staying`.

    >>> mine, theirs = [Held(f"m{i}", "me", 10) for i in range(3)], [Held("t", "they", 10)]
    >>> leaving([*theirs, *mine], most_bytes=25, most_runs=500, staying=["m2"])
    ['m0', 'm1']
    """
    gone = []
    taken: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    queues: dict[str, list[Held]] = defaultdict(list)
    for run in runs:
        taken[run.owner] += run.n_bytes
        count[run.owner] += 1
        if run.run_id not in staying:
            queues[run.owner].append(run)
    while (too_large := sum(taken.values()) > most_bytes) or sum(count.values()) > most_runs:
        most = taken if too_large else count
        # Who has nothing that could leave is passed over.
        owner = max((name for name, queue in queues.items() if queue), key=lambda name: most[name], default=None)
        if owner is None:
            break
        run = queues[owner].pop(0)
        taken[owner] -= run.n_bytes
        count[owner] -= 1
        gone.append(run.run_id)
    return gone
