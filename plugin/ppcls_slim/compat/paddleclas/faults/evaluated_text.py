"""Texts of a configuration are executed as Python.

Symptom: ``NormalizeImage.scale``, ``RandomErasing.sl``, ``Arch.norm_layer`` and the names of data sets, losses and
backbones are given to ``eval``: a configuration or an ``inference.yml`` of somebody else's runs any code.
Versions: PaddleClas 2.4.2, release/2.5, release/2.6 and develop.
Delete when: PaddleClas looks names up and parses numbers.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ....common.errors import SlimError, did_you_mean
from ....common.numbers import parse_number
from ...paddle import paddle

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_EVALUATES = re.compile(r"(?<![\w.])eval\(")


def patch() -> None:
    """Let the modules of PaddleClas that call ``eval`` call :func:`look_up`."""
    if importlib.util.find_spec("nvidia") and importlib.util.find_spec("nvidia.dali"):
        import ppcls.data.dataloader.dali  # noqa: F401  (PaddleClas imports it late)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != "ppcls" or "eval" in vars(module):
            continue
        file = getattr(module, "__file__", None)
        if file is not None and _EVALUATES.search(Path(file).read_text(encoding="utf-8")):
            vars(module)["eval"] = _evaluator(module)


def _evaluator(module: types.ModuleType) -> Callable[[str], Any]:
    return lambda text: look_up(text, module)


def look_up(text: str, module: types.ModuleType) -> Any:
    """Return what a text of a configuration stands for: a literal, a fraction, a class or function, or a layer class.

    Args:
        text: for example ``1.0/255.0``, ``ImageNetDataset`` or ``nn.LayerNorm``.
        module: among whose names it is looked up.

    Raises:
        SlimError: it is nothing of the kind; PaddleClas would execute it.
    """
    if not isinstance(text, str):
        raise TypeError(f"{text!r:.80} is not a name")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    if _NAME.fullmatch(text):
        return _named(text, module)
    return parse_number(text, f"a value that {module.__name__} would execute")


def _named(name: str, module: types.ModuleType) -> Any:
    first, *inner = name.split(".")
    found = vars(module).get(first)
    for part in inner:  # nn.LayerNorm, but not inspect.os.system
        found = getattr(found, part, None)
    layer = isinstance(found, type) and issubclass(found, paddle.nn.Layer)
    callable_of_python = isinstance(found, (type, types.FunctionType))
    if layer or (callable_of_python and not inner):
        return found
    known = [one for one, thing in vars(module).items() if isinstance(thing, (type, types.FunctionType))]
    raise SlimError(f"'{name}' is not a name that {module.__name__} knows{did_you_mean(name, known)}")
