"""How much accuracy each group of channels costs: layer -> ratio -> relative loss of top-1.

As PaddleSlim's ``FilterPruner.sensitive``: one group at a time is pruned by 0.1, 0.2, ... 0.9 and evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..common.atomic import write_json
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.unpickling import Fields, RefusedError, unpickle
from ..graph.model import layer_of
from . import importance
from .analysis import Analysis
from .apply import apply_slices, undo
from .dependency.groups import Group
from .importance.selection import channels_to_prune, count_to_prune
from .slices import plan_slices

RATIOS = tuple(round(0.1 * i, 1) for i in range(1, 10))

STATUS = {("paddleslim.dygraph.prune.filter_pruner", "Status"): Fields}
"""The class whose objects PaddleSlim's files hold."""

Table = dict[str, dict[float, float]]
"""Layer -> ratio -> relative loss of accuracy."""


def sensitivities(
    path: Path,
    model: paddle.nn.Layer,
    analysis: Analysis,
    criterion: str,
    evaluate: Callable[[], float],
    log: Callable[[str], None],
) -> Table:
    """Read a file of sensitivities; compute what it lacks and write it, unless it is PaddleSlim's pickle.

    Args:
        path: JSON, which need not exist, or a pickle of PaddleSlim.
        model: dense, with its weights.
        analysis: of the model.
        criterion: name of the criterion.
        evaluate: returns the accuracy of the model as it is at that moment.
        log: gets one line for each figure computed.

    Raises:
        SlimError: the file cannot be read, or has none of the model's layers.
    """
    table = read(path, model) if path.exists() else {}
    layers = [group.root_layer for group in analysis.groups]
    if path.suffix == ".json" or not table:
        compute(
            table,
            path,
            model,
            analysis,
            importance.of_weights_alone(criterion, "Slim.prune.sensitivity_file"),
            evaluate,
            log,
        )
    known = {layer: table[layer] for layer in layers if layer in table}
    if not known:
        raise SlimError(f"Slim.prune.sensitivity_file: {path} has none of the model's layers, such as {layers[0]}")
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
    """Fill in what a table lacks, and write it after every figure, so that a stopped run can be continued."""
    missing = [
        (group, ratio)
        for group in analysis.groups
        for ratio in RATIOS
        if ratio not in table.get(group.root_layer, {})
    ]
    if not missing:
        return
    baseline = evaluate()
    for step, (group, ratio) in enumerate(missing, 1):
        with _pruned(model, group, ratio, criterion):
            loss = (baseline - evaluate()) / (baseline + 1e-3)
        table.setdefault(group.root_layer, {})[ratio] = round(float(loss), 6)
        write_json(path, table)
        log(f"sensitivity {step}/{len(missing)}: {group.root_layer} at {ratio}: loss {loss:.4f}")


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
    """Read our JSON, or PaddleSlim's pickle, whose keys are the names that Paddle gave to the parameters.

    Raises:
        SlimError: it is neither.
    """
    try:
        raw = path.read_bytes()
        data = json.loads(raw) if raw[:1] in b"{" else unpickle(raw, STATUS)
        found: Mapping[str, Any] = data if isinstance(data, dict) else data.values["sensitivies"]
        layers = {p.name: layer_of(name) for name, p in model.named_parameters()}
        return {
            layers.get(name, name): {float(ratio): float(loss) for ratio, loss in losses.items()}
            for name, losses in found.items()
        }
    except RefusedError as refused:
        raise SlimError(
            f"Slim.prune.sensitivity_file: {path} cannot be read: it asks for {refused}, which no such file needs"
        ) from None
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise SlimError(f"Slim.prune.sensitivity_file: {path} cannot be read: {error}") from None
