"""Several runs in one page: whether they can be compared, what they are called, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Optional

from ...common.errors import SlimError
from .record import Data, Record

ASKED = ("epochs", "batch_size", "optimizer", "learning_rate", "seed", "image_shape", "pretrained")
"""Of ``Record.training``, what is listed where runs differ in it."""

LONGEST = 160
"""Characters of a value; of a longer one (names of many layers) the page of its run has the rest."""


def check_comparable(records: Sequence[Record]) -> None:
    """Refuse runs whose accuracies mean different things.

    Raises:
        SlimError: two of them were evaluated on other data, or predict other classes.
    """
    first = records[0]
    for other in records[1:]:
        for key in Data.model_fields:
            one, two = getattr(first.data, key), getattr(other.data, key)
            if one is not None and two is not None and one != two:
                raise SlimError(
                    f"{first.output} and {other.output} cannot be compared: {key} of the evaluation data "
                    f"{'is' if key != 'images' else 'are'} {one} and {two}; give runs that were evaluated on the same"
                )


def legend(records: Sequence[Record]) -> list[str]:
    """Short names of runs: the ends of their folders, as long as they have to be."""
    parts = [PurePath(record.output).parts or (record.output,) for record in records]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{number}. {'/'.join(one)}" for number, one in enumerate(parts, 1)]


def differences(records: Sequence[Record]) -> list[tuple[str, list[str]]]:
    """Keys in which the runs were asked for different things, with what each was asked for."""
    asked = [_flat(record) for record in records]
    keys = list(dict.fromkeys(key for one in asked for key in one))
    rows = [(key, [one.get(key) for one in asked]) for key in keys]
    return [(key, [_shown(value) for value in values]) for key, values in rows if len(set(map(repr, values))) > 1]


def _flat(record: Record) -> dict[str, object]:
    asked = {"Arch.name": record.arch, **{key: _asked(record, key) for key in ASKED}}
    return {**asked, **_leaves(record.slim, "Slim")}


def _asked(record: Record, key: str) -> object:
    """The value; of several stages what each was asked for, and the weights that the first one started from."""
    values = [stage.asked.get(key) for stage in record.stages if stage.asked] or [record.training.get(key)]
    alike = key == "pretrained" or (key != "epochs" and len(set(map(repr, values))) == 1)
    return values[0] if alike else ", ".join(map(str, values))


def _leaves(section: Mapping[str, object], path: str) -> dict[str, object]:
    leaves: dict[str, object] = {}
    for key, value in section.items():
        place = f"{path}.{key}"
        leaves.update(_leaves(value, place) if isinstance(value, Mapping) and value else {place: value})
    return leaves


def _shown(value: Optional[object]) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
