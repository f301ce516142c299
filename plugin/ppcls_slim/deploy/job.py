"""What a deployment target is given: a model, its input, how it was compressed, and data to verify it on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from ..compat.paddle import paddle
from ..compat.paddleclas.types import DataLoader
from ..config.deploy import PADDLE
from ..config.quant import QuantConfig
from ..config.section import ReportConfig
from ..prune.plan import Plan
from ..quant.record import QuantRecord
from ..verify.samples import Samples

_scratch_folders: list[tempfile.TemporaryDirectory[str]] = []


def _scratch_folder() -> Path:
    """A new folder for one job: what another model was converted to must not be found there."""
    _scratch_folders.append(tempfile.TemporaryDirectory(prefix="ppcls_slim-"))  # removed when the process ends
    return Path(_scratch_folders[-1].name)


@dataclass(frozen=True)
class ExportJob:
    """A trained model, and what is known about it.

    "Wrapped" means inside PaddleClas's ``ExportModel``, which adds the output layer (softmax) and chooses the output.
    Whatever builds a model does so with a counter of its own for generated names (``unique_name.guard``).

    Attributes:
        folder: where the files go, ``Global.save_inference_dir``.
        model: trained, wrapped, in evaluation mode. ``ExportModel`` may take the head off the model that it is given
            (``Arch.infer_output_key: features``), so that ``int8_model`` has to be prepared before it is wrapped.
        dense_model: builds the dense model with untrained weights, wrapped, in evaluation mode.
        input_shape: ``(C, H, W)``.
        samples: inputs to verify with.
        int8_model: builds the model that is saved as int8: quantized for export, with the trained scales and weights,
            wrapped, in evaluation mode. None for a float model.
        device: ``cpu`` or ``gpu``.
        evaluation: builds the evaluation data loader; returns None where there is no data.
        gives_features: whether the output is an embedding, which has no largest class.
        plan: how the model was pruned.
        quant: how it was quantized.
        top1_dense: top-1 of the dense model, a share, where known.
        metric: of the trained model, a share, where known.
        sidecar: returns the content of ``inference.slim.json`` for the figures that verifying found.
        settings: ``Slim.quant`` of this run: how much to verify, and when to warn.
        report: ``Slim.report``.
        inference_yml: text of ``inference.yml``.
        labels: file of class names.
        targets: names of the engines to export for, see ``Slim.deploy.targets``.
        scratch: an empty folder for what several targets start from, while they are written.
        options: of the target; its ``Options`` validates them.
        left_float: quantized layer that the export leaves float -> name of its weight in the program.
    """

    folder: Path
    model: paddle.nn.Layer
    dense_model: Callable[[], paddle.nn.Layer]
    input_shape: tuple[int, ...]
    samples: Samples
    int8_model: Optional[Callable[[], paddle.nn.Layer]] = None
    device: str = "cpu"
    evaluation: Callable[[], Optional[DataLoader]] = lambda: None
    gives_features: bool = False
    plan: Optional[Plan] = None
    quant: Optional[QuantRecord] = None
    top1_dense: Optional[float] = None
    metric: Optional[float] = None
    sidecar: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    settings: Optional[QuantConfig] = None
    report: Optional[ReportConfig] = None
    inference_yml: str = ""
    labels: Optional[Path] = None
    targets: Sequence[str] = (PADDLE,)
    scratch: Path = field(default_factory=_scratch_folder)
    options: Mapping[str, Any] = field(default_factory=dict)
    left_float: Mapping[str, str] = field(default_factory=dict)

    @property
    def quant_settings(self) -> Optional[QuantConfig]:
        """``Slim.quant`` of this run, or of the training; None for a float model."""
        return self.settings or (self.quant.settings if self.quant is not None else None)

    def of_dense_model(self, folder: Path) -> ExportJob:
        """Return the same job for the untrained dense model, which the compressed one is compared with."""
        return replace(
            self,
            folder=folder,
            model=self.dense_model(),
            int8_model=None,
            plan=None,
            quant=None,
            settings=None,
            scratch=self.scratch / "dense",
            options={},
        )
