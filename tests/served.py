"""The real page on a real server with real workers, for tests that drive it from outside."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minigpt.corpora import LESSONS
from minigpt.runs import Runs, local_runs, warm_up
from minigpt.ui import door
from minigpt.ui.handlers import Page
from minigpt.ui.layout import build
from minigpt.ui.server import launch_options


@dataclass(frozen=True)
class Served:
    """Where the page is, and the runs behind it, to compare what it shows with what there is."""

    url: str
    runs: Runs
    page: Page

    def short_run(self, lesson: str) -> str:
        """A run of six steps of a lesson, on its way."""
        fields = door.preset_fields(door.SIZE_OF_LESSON, lesson)._replace(steps=6, batch=4)
        return self.runs.start(LESSONS[lesson].text, door.settings_of(fields, lesson))


@contextmanager
def served(n_workers: int = 1) -> Iterator[Served]:
    """A warm server with its own folder of runs; both are gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        runs = local_runs(Path(folder), n_workers)
        page = Page(runs)
        page.speed = warm_up(runs, n_workers)
        blocks = build(page)
        try:
            _, url, _ = blocks.launch(prevent_thread_lock=True, **launch_options())
            yield Served(url, runs, page)
        finally:
            blocks.close()
            runs.close()
