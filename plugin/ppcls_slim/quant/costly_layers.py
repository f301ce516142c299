"""``Slim.quant.skip: auto``: which layers stay float because quantizing them costs accuracy.

First every layer is quantized alone, and the error that this makes in the model's outputs ranks them. Then the first
1, 2, 4, ... layers of the ranking are left float until the accuracy on the evaluation data holds, and the fewest that
are enough are found by bisection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Measurement:
    """What is needed to find the fewest layers to leave float.

    Attributes:
        float_model: with its weights.
        quantized: the same model, calibrated.
        record: of the quantized model.
        outputs: the model's outputs ``[n, ...]`` on some training batches.
        top1: accuracy of a model on the evaluation data, 0 to 1.
        file: where a stopped measurement is found again.
        log: gets a line for every figure.
    """

    float_model: paddle.nn.Layer
    quantized: paddle.nn.Layer
    record: QuantRecord
    outputs: Outputs
    top1: Top1
    file: SensitivityFile
    log: Callable[[str], None]

    @property
    def layers(self) -> dict[str, paddle.nn.Layer]:
        """The quantized layers, by name."""
        return quantized_layers(self.quantized, self.record)

    def run(self, max_drop: float) -> Sensitivity:
        """Find the fewest layers to leave float.

        Args:
            max_drop: accuracy that may be lost, 0.005 is half a point.

        Raises:
            SlimError: no layer can be quantized without losing more.
        """
        found, total = self.file.found, len(self.layers)
        if found.float_top1 < 0:
            found.float_top1 = self.top1(self.float_model)
        lowest = found.float_top1 - max_drop - 1e-9
        if self._top1_without(0) >= lowest:
            return found
        self._measure_errors()
        low, high = 0, 1  # low is known not to be enough
        while high < total and self._top1_without(high) < lowest:
            low, high = high, min(2 * high, total)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._top1_without(middle) >= lowest else (middle, high)
        if high == total:
            accuracy = f"all quantized {100 * found.top1[0]:.2f} %, float {100 * found.float_top1:.2f} %"
            raise SlimError(
                f"Slim.quant.skip: auto: to lose at most {max_drop:g} of top-1 every layer would have to stay float "
                f"({accuracy}); raise max_drop, use more bits, or remove auto and let training make up for it"
            )
        found.chosen = found.ranking()[:high]
        self.file.write()
        return found

    def _top1_without(self, count: int) -> float:
        """Accuracy where the first ``count`` layers of the ranking stay float."""
        found, layers = self.file.found, self.layers
        if count not in found.top1:
            with quantizers_off([layers[name] for name in found.ranking()[:count]]):
                found.top1[count] = self.top1(self.quantized)
            self.file.write()
        self.log(f"{count} of {len(layers)} layers float: top-1 {100 * found.top1[count]:.2f} %")
        return found.top1[count]

    def _measure_errors(self) -> None:
        """Quantize each layer alone."""
        errors, layers = self.file.found.errors, self.layers
        missing = [name for name in layers if name not in errors]
        if not missing:
            return
        with eval_mode(self.quantized):
            with quantizers_off(layers.values()):
                expected = self.outputs(self.quantized).astype(np.float64)
            for name in missing:
                with quantizers_off([layer for other, layer in layers.items() if other != name]):
                    error = self.outputs(self.quantized).astype(np.float64) - expected
                errors[name] = float(np.square(error).sum() / max(np.square(expected).sum(), 1e-30))
                self.file.write()
                self.log(f"{len(errors)}/{len(layers)} {name} quantized alone: relative error {errors[name]:.2e}")


def table(found: Sensitivity, most: int = 20) -> str:
    """Return the ranking as a table of at most ``most`` rows."""
    ranking: Sequence[str] = found.ranking()
    rows = [
        f"{number:4d}  {found.errors[name]:9.2e}  {'float' if name in found.chosen else 'int8 ':5}  {name}"
        for number, name in enumerate(ranking[:most], 1)
    ]
    more = [f"      and {len(ranking) - most} with smaller errors"] if len(ranking) > most else []
    return "\n".join(["rank      error  as     layer", *rows, *more])
