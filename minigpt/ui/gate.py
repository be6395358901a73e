"""The gate for programs: a function becomes an endpoint, and a tool of assistants, under its own name.

What it says of its parameters in `Args:` (one line each: Gradio reads no more) stands on the API page; what its
annotations say is checked, because JSON can hold anything.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from reprlib import repr as shortened
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import gradio as gr
from gradio.context import get_blocks_context
from gradio.events import api
from gradio.utils import get_function_description

from minigpt.ui import door

_NAMES: dict[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    list: "a list of strings",
    dict: "names with values",
}

_EITHER = (Union, UnionType)  # What `Literal[...] | None` and `int | None` are, in this order.


def publish(function: Callable[..., Any], returns: str, **options: Any) -> None:
    """Offer a function to programs, on the page that is being built.

    returns: a name for what comes back. options: Gradio's.
    """
    offered = api(_said(function), api_name=function.__name__, **options)
    blocks = get_blocks_context()
    assert blocks is not None  # Else `api` has raised.
    known = blocks.fns[offered["id"]]
    _, described, _ = get_function_description(function)
    named = {name: meaning for name, meaning in described.items() if name != "request"}
    for (name, meaning), component in zip(named.items(), known.inputs, strict=True):
        component.label = name  # type: ignore[union-attr]
        schema = component._api_info  # type: ignore[union-attr]
        # What may be left out is shown as what it is when it is there; that it may be None is said by its default.
        taken = [each for each in schema.pop("oneOf", ()) if each != {"type": "null"}]
        schema.update(*taken, additional_description=meaning)
    known.outputs[0].label = returns  # type: ignore[union-attr]


def by_assistant(request: gr.Request) -> bool:
    """Whether an assistant asked, over MCP: it reads words better than arrays, and does not wait for ever."""
    return request.headers.get("x-gradio-user") == "mcp"


def check(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Raise ValueError for an argument that is not what the function says it takes."""
    for parameter, value in zip(inspect.signature(function).parameters.values(), args, strict=False):
        kind = parameter.annotation
        if kind is not gr.Request and not _fits(kind, value):
            raise ValueError(f"{parameter.name} must be {_named(kind)}, not {shortened(value)}.")


def _fits(kind: Any, value: object) -> bool:
    if get_origin(kind) is Literal:
        # The names that the program knows by itself, word, character and bpe, were the first here: they still do.
        return isinstance(value, str) and door.LABELS.get(value, value) in get_args(kind)
    if get_origin(kind) in _EITHER:
        return any(_fits(each, value) for each in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _named(kind: Any) -> str:
    if get_origin(kind) in _EITHER:
        return " or ".join(_named(each) for each in get_args(kind) if each is not NoneType)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return _NAMES[get_origin(kind) or kind]


def _said(function: Callable[..., Any]) -> Callable[..., Any]:
    """Whatever the function refuses reaches the caller as its sentence."""
    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def stream(*args: Any) -> AsyncIterator[Any]:
            try:
                check(function, args)
                async for each in function(*args):
                    yield each
            except ValueError as error:
                raise door.refuse(error) from error

        return stream

    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def parts(*args: Any) -> Iterator[Any]:
            try:
                check(function, args)
                yield from function(*args)
            except ValueError as error:
                raise door.refuse(error) from error

        return parts

    @wraps(function)
    def call(*args: Any) -> Any:
        try:
            check(function, args)
            return function(*args)
        except ValueError as error:
            raise door.refuse(error) from error

    return call
