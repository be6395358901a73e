"""The page: the only rooms that know Gradio."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _without_stubs() -> Iterator[None]:
    """Gradio writes a stub for editors beside each of its components, at every start, for a third of the time it takes.

    It leaves out a component that has no file, so for as long as this lasts none has.
    """
    file_of = inspect.getfile

    def nowhere(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("no stub is wanted")
        return file_of(thing)

    inspect.getfile = nowhere  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = file_of


with _without_stubs():
    import gradio  # noqa: F401
