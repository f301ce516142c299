"""``ppcls_slim.export``: files for engines, verified against the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from pydantic import ValidationError

from .. import checkpoint as checkpoints
from ..common.errors import SlimError, file_error
from ..common.validation import first_mistake
from ..compat.paddle import paddle
from ..config.deploy import DeployConfig
from ..deploy import export as deploy
from ..deploy.advice import advice
from ..deploy.inference_yml import plain_yml
from ..deploy.job import ExportJob
from ..deploy.side_by_side import Row, table
from ..prune import pruner
from ..quant import convert
from ..verify.samples import Samples
from .batches import Batches, Data, Example, batches_of, check_network, device, noise, shape_of
from .compression import Compression, check_plain, compression_of, copy_of, exported


@dataclass(frozen=True)
class Exports:
    """What :func:`export` wrote. Printed, it is a table of latencies where something was compared, or the folders.

    Attributes:
        folders: target -> where its files lie.
        verified: target -> what comparing it with the network found, as in ``inference.slim.json``.
        rows: every way of running the network, timed in turns: target, precision, milliseconds, ``gain`` over dense
            FP32 in the same engine; empty with ``compare=False`` and for one target of a dense network.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.Flatten(), paddle.nn.Linear(144, 2))
        >>> exports = ppcls_slim.export(net, "exported", example=[3, 8, 8])
        >>> exports.folders["paddle"].name, exports.verified["paddle"]["same_top1"]
        ('exported', 1.0)
    """

    folders: Mapping[str, Path]
    verified: Mapping[str, Mapping[str, Any]]
    rows: Sequence[Row] = ()

    def __str__(self) -> str:
        """A table with the advice which to deploy, or the folders."""
        if self.rows:
            return "\n".join([table(self.rows), *advice(self.rows)])
        return "\n".join(f"{target}: {folder}" for target, folder in self.folders.items())


def export(
    model: paddle.nn.Layer,
    folder: Union[str, Path],
    targets: Union[str, Sequence[str]] = ("paddle",),
    *,
    example: Optional[Example] = None,
    data: Optional[Data] = None,
    compare: bool = True,
    transform_ops: Sequence[Mapping[str, Any]] = (),
) -> Exports:
    """Write a network for engines, and refuse what computes something else than the network does.

    The network is exported as it is: dense or pruned in float, quantized in int8. Its (first) output is exported,
    without a softmax. It can be used and trained further: a copy is exported.

    Args:
        model: of any kind that the other functions return, or dense.
        folder: for ``paddle`` the files go here, for other targets into a folder of their name in it.
        targets: ``paddle``, ``onnx``, ``openvino``, ``ncnn``, or a plugin's.
        example: shape ``[C, H, W]`` of an input, or images ``[n, C, H, W]`` to verify with; of a network that was
            pruned or quantized here it is known.
        data: evaluation batches to verify with: images, or ``(images, labels)``, of which accuracy is measured.
        compare: also export the dense network, and time everything side by side.
        transform_ops: PaddleClas's operators from a decoded image to the input, for ``ppcls-slim predict``.

    Raises:
        SlimError: an engine cannot run the network, or its export computes something else; nothing is written then.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> net = ppcls_slim.quantize(net, [paddle.rand([4, 1, 28, 28])])
        >>> exports = ppcls_slim.export(net, "int8")
        >>> print(exports)
        +--------+----------+---------+---...
        | target | model    | runs in |    weights | ms, batch 1 ...
    """
    check_network(model, "export")
    check_plain(model, "export")
    compression = compression_of(model)
    batches = batches_of(data, "export")
    job = _job(model, compression, Path(folder), _targets(targets), example, batches, transform_ops)
    _check_runs(job, type(model).__name__)
    try:
        outcome = deploy.export(job, compare)
    except OSError as error:
        raise SlimError(file_error(error)) from None
    return Exports(
        folders={name: one.folder for name, one in outcome.done.items()},
        verified={name: one.verified.figures for name, one in outcome.done.items()},
        rows=outcome.ways,
    )


def _check_runs(job: ExportJob, name: str) -> None:
    try:
        with paddle.no_grad():
            job.model(paddle.to_tensor(job.samples.images[:1]))
    except Exception as error:  # whatever a layer raises on an input that it was not made for
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        shape = list(job.samples.images.shape[1:])
        raise SlimError(
            f"export: {name} does not run on an input of {shape}: give another example ({reason})"
        ) from error


def _targets(targets: Union[str, Sequence[str]]) -> list[str]:
    names = list(targets) if isinstance(targets, (list, tuple)) else [targets]
    try:
        return DeployConfig.model_validate({"targets": names}).targets
    except ValidationError as error:
        raise SlimError(first_mistake(error, DeployConfig, "export")) from None


def _job(
    model: paddle.nn.Layer,
    compression: Compression,
    folder: Path,
    targets: Sequence[str],
    example: Optional[Example],
    batches: Optional[Batches],
    transform_ops: Sequence[Mapping[str, Any]],
) -> ExportJob:
    shape = _shape(compression, example, batches)
    dense = compression.dense if compression.dense is not None else model
    plan, quant = compression.plan, compression.quant

    def int8_model() -> paddle.nn.Layer:
        twin = copy_of(dense)
        if plan is not None:
            pruner.prune(twin, plan)
        assert quant is not None
        return exported(convert.int8_model(model, twin, quant))

    return ExportJob(
        folder=folder,
        model=exported(copy_of(model)),
        dense_model=lambda: exported(copy_of(dense)),
        input_shape=shape,
        samples=_samples(shape, example, batches),
        int8_model=int8_model if quant is not None else None,
        device=device(),
        evaluation=lambda: batches if batches is not None and batches.labelled else None,
        plan=plan,
        quant=quant,
        sidecar=lambda verified: {
            **checkpoints.sidecar(plan, quant, checkpoints.Metadata()),
            "verified": dict(verified),
        },
        inference_yml=plain_yml(type(model).__name__, shape, transform_ops),
        targets=targets,
    )


def _shape(compression: Compression, example: Optional[Example], batches: Optional[Batches]) -> tuple[int, ...]:
    if example is not None:
        return shape_of(example, "export")
    shape = batches.shape if batches is not None else compression.input_shape
    if shape is None:
        raise SlimError("export: the shape of an input is not known: give example=[C, H, W], or data=")
    return shape


def _samples(shape: tuple[int, ...], example: Optional[Example], batches: Optional[Batches]) -> Samples:
    if batches is not None:
        return batches.samples()
    if isinstance(example, (np.ndarray, paddle.Tensor)) and len(example.shape) > 1:
        return Batches([example], "export").samples()
    return noise(shape)
