"""``Slim.quant.skip: auto`` in a training: the model, its data and where the figures are kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..common.errors import SlimError
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger, say
from ..config.quant import QuantConfig
from ..quant import costly_layers, prepare
from ..report.sensitivity_plot import sensitivity_plot
from .run import Run

FILE = "quant_sensitivity.json"
OUTPUTS = ("logits", "features", "output")
BATCHES = 2
"""Training batches that the errors of layers are measured on."""


def find_costly_layers(model: paddle.nn.Layer, settings: QuantConfig, run: Run) -> Mapping[str, str]:
    """Return the layers that have to stay float, and why; the model is not changed.

    Args:
        model: float, with its weights.
        settings: ``Slim.quant`` with ``skip: auto``.
        run: of mode ``train``.

    Raises:
        SlimError: there is no evaluation data.
    """
    if run.top1 is None:
        raise SlimError(
            "Slim.quant.skip: auto measures accuracy, and there is no evaluation data for classification: set "
            "Global.eval_during_train to True and DataLoader.Eval, or name the layers"
        )
    # Every process quantizes, since calibration is done by all of them; the first one decides.
    quantized = copy.deepcopy(model)
    record = prepare.quantize(
        quantized, settings, run.training_data, lambda batch: run.feed(quantized, batch), run.trains, run.input_shape
    )
    folder = Path(run.config["Global"]["output_dir"])
    measure, batches = run.top1, list(islice(run.training_data, BATCHES))

    def found() -> dict[str, Any]:
        file = costly_layers.SensitivityFile(folder / FILE, costly_layers.fingerprint(model, settings))
        measurement = costly_layers.Measurement(
            model,
            quantized,
            record,
            lambda net: np.concatenate([_output(run.feed(net, batch)) for batch in batches]),
            measure,
            file,
            lambda line: logger.info(f"ppcls_slim: skip auto: {line}"),
        )
        result = measurement.run(settings.largest_drop)
        if result.errors:
            for line in costly_layers.table(result).splitlines():
                logger.info(line)
            say(f"ppcls_slim: the ranking is in {file.path} and {sensitivity_plot(result, folder)}")
        left = len(result.chosen)
        return {
            "chosen": result.chosen,
            "line": f"float {100 * result.float_top1:.2f} %, quantized {100 * result.top1[0]:.2f} %, "
            f"with {left} layers float {100 * result.top1[left]:.2f} %",
        }

    told = broadcast_from_rank0(found)
    say(f"ppcls_slim: skip auto: top-1 {told['line']}, before training")
    return dict.fromkeys(told["chosen"], f"Slim.quant.skip: auto, max_drop {settings.largest_drop:g}")


def _output(output: Any) -> np.ndarray:
    if isinstance(output, Mapping):
        output = next((output[name] for name in OUTPUTS if name in output), next(iter(output.values())))
    if isinstance(output, (list, tuple)):
        output = output[0]
    return np.asarray(output.numpy())
