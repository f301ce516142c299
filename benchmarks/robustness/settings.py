"""Values of ``Global`` that mean something, and those that look as if they did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _shape(value: Any) -> bool:
    whole = _whole(1)
    return isinstance(value, list) and len(value) == 3 and all(whole(one) and one <= 4096 for one in value)


def _or_none(is_good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_good(value)


GOOD: dict[str, Callable[[Any], bool]] = {
    "epochs": _whole(0),
    "save_interval": _whole(1),
    "eval_interval": _whole(1),
    "print_batch_step": _whole(1),
    "image_shape": _shape,
    "device": lambda value: value == "cpu",
    "output_dir": _text,
    "save_inference_dir": _text,
    "pretrained_model": _or_none(_text),
    "checkpoints": _or_none(_text),
    "eval_during_train": _switch,
    "use_visualdl": _switch,
    "seed": _or_none(_whole(0)),
}


def doubtful(settings: Mapping[str, Any]) -> list[str]:
    """Keys of ``Global`` whose values no one would write, or that are missing."""
    return [key for key, is_good in GOOD.items() if not is_good(settings.get(key))]
