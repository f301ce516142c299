"""How much accuracy each group of channels costs: layer -> ratio -> relative loss of top-1.

As ``FilterPruner.sensitive``: one group at a time is pruned by 0.1, 0.2 ... 0.9 and evaluated.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.atomic import write_text
from ..common.errors import SlimError
from ..compat.paddle import paddle
from . import importance
from .apply import apply_slices, plan_slices, undo
from .dependency.groups import Group, layer_of
from .importance.selection import channels_to_prune, count_to_prune

if TYPE_CHECKING:
    from .pruner import Analysis

RATIOS = tuple(round(0.1 * i, 1) for i in range(1, 10))
Table = dict[str, dict[float, float]]


def sensitivities(
    path: Path,
    model: paddle.nn.Layer,
    analysis: Analysis,
    criterion: str,
    evaluate: Callable[[], float],
    log: Callable[[str], None],
) -> Table:
    """Read the file; compute and write what it lacks (JSON only), one line of log a step.

    Raises:
        SlimError: the file cannot be read, or knows none of the model's layers.
    """
    table = read(path, model) if path.exists() else {}
    root_weights = [layer_of(group.root_weights[0]) for group in analysis.grouping.groups]
    if path.suffix == ".json" or not table:
        compute(table, path, model, analysis, importance.get(criterion), evaluate, log)
    known = {layer: table[layer] for layer in root_weights if layer in table}
    if not known:
        raise SlimError(
            f"Slim.prune.sensitivity_file: {path} has none of the model's layers, such as {root_weights[0]}"
        )
    return known


def compute(
    table: Table,
    path: Path,
    model: paddle.nn.Layer,
    analysis: Analysis,
    criterion: importance.Criterion,
    evaluate: Callable[[], float],
    log: Callable[[str], None],
) -> None:
    """Fill in what is missing and save after every figure, so that a stopped run goes on where it was."""
    groups = analysis.grouping.groups
    todo = [
        (group, ratio)
        for group in groups
        for ratio in RATIOS
        if ratio not in table.get(layer_of(group.root_weights[0]), {})
    ]
    if not todo:
        return
    baseline = evaluate()
    for step, (group, ratio) in enumerate(todo, 1):
        layer = layer_of(group.root_weights[0])
        with _pruned(model, group, ratio, criterion):
            loss = (baseline - evaluate()) / (baseline + 1e-3)
        table.setdefault(layer, {})[ratio] = round(float(loss), 6)
        _write(path, table)
        log(f"sensitivity {step}/{len(todo)}: {layer} at {ratio}: loss {loss:.4f}")


@contextmanager
def _pruned(model: paddle.nn.Layer, group: Group, ratio: float, criterion: importance.Criterion) -> Iterator[None]:
    """Prune one group for the length of a ``with`` block."""
    root_weight = group.root_weights[0]
    count = min(count_to_prune(group.prunable_channels, ratio), group.prunable_channels - 1)
    keep = np.ones(group.prunable_channels, dtype=bool)
    filters = group.filters(root_weight)
    weight = np.moveaxis(model.state_dict()[root_weight].numpy(), filters.axis, 0)
    keep[channels_to_prune(criterion, weight, filters.index, count)] = False
    before = apply_slices(model, plan_slices(model, [group], [keep]))
    try:
        yield
    finally:
        undo(before)


def read(path: Path, model: paddle.nn.Layer) -> Table:
    """Read our JSON or PaddleSlim's pickle (whose keys are generated parameter names).

    Raises:
        SlimError: it is neither.
    """
    try:
        raw = path.read_bytes()
        data = json.loads(raw) if raw[:1] in b"{" else _PaddleSlimStatus(io.BytesIO(raw)).load()
        found: Mapping[str, Any] = data if isinstance(data, dict) else data.sensitivies
        layers = {p.name: layer_of(name) for name, p in model.named_parameters()}
        return {
            layers.get(name, name): {float(ratio): float(loss) for ratio, loss in losses.items()}
            for name, losses in found.items()
        }
    except (OSError, ValueError, AttributeError, pickle.UnpicklingError, EOFError) as error:
        raise SlimError(f"Slim.prune.sensitivity_file: {path} cannot be read: {error}") from None


class _PaddleSlimStatus(pickle.Unpickler):
    """Reads PaddleSlim's ``Status`` and numbers, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "Status":
            return type("Status", (), {})
        if module.split(".")[0] == "numpy" and name in {"dtype", "scalar"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which no sensitivity file has")


def _write(path: Path, table: Table) -> None:
    write_text(path, json.dumps(table, indent=1))
