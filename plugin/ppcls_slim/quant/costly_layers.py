"""``Slim.quant.skip: auto``: which layers stay float because quantizing them costs accuracy.

First every layer is quantized alone, and the error that this makes in the model's outputs ranks them. Then the first
1, 2, 4, ... layers of the ranking are left float until the accuracy on the evaluation data holds, and the fewest that
are enough are found by bisection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..common.atomic import write_json
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.qat_layers import quantizers_off
from ..config.quant import QuantConfig
from ..graph.eval_mode import eval_mode
from .layers import quantized_layers
from .record import QuantRecord

Outputs = Callable[[paddle.nn.Layer], np.ndarray]
Top1 = Callable[[paddle.nn.Layer], float]


@dataclass
class Sensitivity:
    """What was measured of a model, so far.

    Attributes:
        of: says which model and settings it was.
        float_top1: accuracy of the float model, 0 to 1.
        errors: layer -> squared error of the model's outputs, relative to their squares, where it is quantized alone.
        top1: number of layers left float, those with the largest errors -> accuracy.
        chosen: layers that stay float.
    """

    of: str
    float_top1: float = -1.0
    errors: dict[str, float] = field(default_factory=dict)
    top1: dict[int, float] = field(default_factory=dict)
    chosen: list[str] = field(default_factory=list)

    def ranking(self) -> list[str]:
        """Return the layers, the most costly first."""
        return sorted(self.errors, key=lambda layer: (-self.errors[layer], layer))


class SensitivityFile:
    """A file that a stopped measurement goes on from.

    Args:
        path: JSON; what it holds of another model or other settings is not used.
        of: see :func:`fingerprint`.
    """

    def __init__(self, path: Path, of: str):
        self.path = path
        self.found = Sensitivity(of)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["of"] == of:
                counts = {int(count): float(value) for count, value in data["top1"].items()}
                self.found = Sensitivity(of, float(data["float_top1"]), dict(data["errors"]), counts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # not there, or not whole: measured anew

    def write(self) -> None:
        """Write what is known."""
        found = self.found
        write_json(
            self.path,
            {
                "of": found.of,
                "float_top1": found.float_top1,
                "errors": found.errors,
                "top1": found.top1,
                "chosen": found.chosen,
            },
        )


def fingerprint(model: paddle.nn.Layer, settings: QuantConfig) -> str:
    """Return a text that differs for another model, other weights or other settings."""
    digest = hashlib.sha256(json.dumps(settings.model_dump(mode="json"), sort_keys=True).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.numpy()).tobytes())
    return digest.hexdigest()


def measure(
    float_model: paddle.nn.Layer,
    quantized: paddle.nn.Layer,
    record: QuantRecord,
    max_drop: float,
    outputs: Outputs,
    top1: Top1,
    file: SensitivityFile,
    log: Callable[[str], None],
) -> Sensitivity:
    """Find the fewest layers to leave float.

    Args:
        float_model: with its weights.
        quantized: the same model, calibrated.
        record: of the quantized model.
        max_drop: accuracy that may be lost, 0.005 is half a point.
        outputs: the model's outputs ``[n, ...]`` on some training batches.
        top1: accuracy of a model on the evaluation data, 0 to 1.
        file: where a stopped measurement is found again.
        log: gets a line for every figure.

    Raises:
        SlimError: no layer can be quantized without losing more.
    """
    found, layers = file.found, quantized_layers(quantized, record)
    if found.float_top1 < 0:
        found.float_top1 = top1(float_model)
    _try(found, 0, quantized, layers, top1, file, log)
    if _holds(found, 0, max_drop):
        return found
    _measure_errors(found, quantized, layers, outputs, file, log)
    low, high = 0, 1  # low is known not to be enough
    while high < len(layers) and not _tried(found, high, quantized, layers, top1, file, log, max_drop):
        low, high = high, min(2 * high, len(layers))
    while high - low > 1:
        middle = (low + high) // 2
        if _tried(found, middle, quantized, layers, top1, file, log, max_drop):
            high = middle
        else:
            low = middle
    if high == len(layers):
        raise SlimError(
            f"Slim.quant.skip: auto: to lose at most {max_drop:g} of top-1 every layer would have to stay float (all "
            f"quantized: {100 * found.top1[0]:.2f} %, float: {100 * found.float_top1:.2f} %); raise max_drop, use "
            "more bits, or remove auto and let training make up for it"
        )
    found.chosen = found.ranking()[:high]
    file.write()
    return found


def _measure_errors(
    found: Sensitivity,
    quantized: paddle.nn.Layer,
    layers: Mapping[str, paddle.nn.Layer],
    outputs: Outputs,
    file: SensitivityFile,
    log: Callable[[str], None],
) -> None:
    missing = [name for name in layers if name not in found.errors]
    if not missing:
        return
    with eval_mode(quantized):
        with quantizers_off(layers.values()):
            expected = outputs(quantized).astype(np.float64)
        for name in missing:
            with quantizers_off([layer for other, layer in layers.items() if other != name]):
                error = outputs(quantized).astype(np.float64) - expected
            found.errors[name] = float(np.square(error).sum() / max(np.square(expected).sum(), 1e-30))
            file.write()
            log(f"{len(found.errors)}/{len(layers)} {name} quantized alone: relative error {found.errors[name]:.2e}")


def _tried(
    found: Sensitivity,
    count: int,
    quantized: paddle.nn.Layer,
    layers: Mapping[str, paddle.nn.Layer],
    top1: Top1,
    file: SensitivityFile,
    log: Callable[[str], None],
    max_drop: float,
) -> bool:
    """Whether it is enough to leave so many layers float."""
    _try(found, count, quantized, layers, top1, file, log)
    return _holds(found, count, max_drop)


def _try(
    found: Sensitivity,
    count: int,
    quantized: paddle.nn.Layer,
    layers: Mapping[str, paddle.nn.Layer],
    top1: Top1,
    file: SensitivityFile,
    log: Callable[[str], None],
) -> None:
    if count not in found.top1:
        with quantizers_off([layers[name] for name in found.ranking()[:count]]):
            found.top1[count] = top1(quantized)
        file.write()
    log(f"{count} of {len(layers)} layers float: top-1 {100 * found.top1[count]:.2f} %")


def _holds(found: Sensitivity, count: int, max_drop: float) -> bool:
    return found.float_top1 - found.top1[count] <= max_drop + 1e-9


def table(found: Sensitivity, most: int = 20) -> str:
    """Return the ranking as a table of at most ``most`` rows."""
    ranking: Sequence[str] = found.ranking()
    rows = [
        f"{number:4d}  {found.errors[name]:9.2e}  {'float' if name in found.chosen else 'int8 ':5}  {name}"
        for number, name in enumerate(ranking[:most], 1)
    ]
    more = [f"      and {len(ranking) - most} with smaller errors"] if len(ranking) > most else []
    return "\n".join(["rank      error  as     layer", *rows, *more])
