import ast
import importlib.util
import os

import pytest
import torch
from conftest import PACKAGE, checked_modules
from jaxtyping import TypeCheckError

from minigpt.model import causal_pattern

MODULES = sorted(
    ".".join(["minigpt", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_checker_is_on_for_every_module_but_the_page_and_the_door(name):
    spec = importlib.util.find_spec(name)
    assert spec is not None
    is_checked = type(spec.loader).__module__.startswith("jaxtyping")
    assert is_checked == (name != "minigpt" and name.split(".")[1] != "ui")


def test_no_module_is_forgotten_when_the_package_grows():
    rooms = {".".join(name.split(".")[:2]) for name in MODULES}
    assert set(checked_modules()) == rooms - {"minigpt", "minigpt.ui"}


def test_wrong_shapes_are_caught_before_torch_sees_them():
    with pytest.raises(TypeCheckError, match="d_head"):
        causal_pattern(torch.zeros(1, 4, 8), torch.zeros(1, 4, 7))


def test_wrong_element_types_are_caught():
    with pytest.raises(TypeCheckError):
        causal_pattern(torch.zeros(1, 4, 8, dtype=torch.long), torch.zeros(1, 4, 8, dtype=torch.long))


def test_the_door_has_no_shapes_that_would_go_unchecked():
    door = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(door) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(door) if isinstance(node, ast.Import) for alias in node.names}
    assert "jaxtyping" not in imported


def test_no_module_hides_its_annotations_from_the_checker():
    for path in PACKAGE.rglob("*.py"):
        assert "from __future__ import annotations" not in path.read_text(encoding="utf-8"), path


def test_tests_ask_nothing_of_the_network():
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert os.environ["HF_HUB_OFFLINE"] == "1"
