"""A deployment target: how a model is written for an engine, loaded into it, and verified there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel

from ..common.errors import SlimError
from ..compat.paddleclas.logger import logger
from ..config.deploy import PADDLE, TARGETS
from ..report.tables import Comparison
from ..verify.agreement import Agreement
from .job import ExportJob

FLOAT, QUANTIZED = "paddle_fp32", "paddle_int8"
"""What ``paddle`` is for a float and for a quantized model."""


class Runner(Protocol):
    """An exported model, loaded.

    Attributes:
        precision: what it runs in: ``fp32``, ``int8``, ``bf16``, ``fp16``.
    """

    precision: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run on ``[n, C, H, W]`` float32; return the first output."""


@dataclass(frozen=True)
class Verified:
    """What verifying an export found.

    Attributes:
        figures: plain data, kept in ``inference.slim.json`` as ``verified``.
        rows: first rows of the table that compares the export with the dense model.
        note: what the log says behind the place of the export.
        warning: what the user has to know; the last line of the export.
        found: accuracy of the export, and how much it agrees with the trained model, where there are classes.
    """

    figures: Mapping[str, Any]
    rows: Sequence[Comparison] = ()
    note: str = ""
    warning: Optional[str] = None
    found: Agreement = field(default_factory=lambda: Agreement(None, None))


@runtime_checkable
class Target(Protocol):
    """An engine that models are exported for.

    To add one, write ``deploy/targets/<name>.py`` with an object ``TARGET`` of this kind. From outside the project,
    publish such an object as an entry point of the group ``ppcls_slim.targets``. Patches that the engine needs are
    applied in ``write`` and ``load``, and are in ``compat/``.

    Attributes:
        Options: the target's options, with their defaults and documentation; ``ExportJob.options`` sets them.
        engine: what runs it on a CPU, in words.
        baseline: name of the target that the dense model is exported for, to compare with.
        headings: of the two columns of that comparison: the dense model, and this export.
        weights: name of the file whose size is compared.
        may_write: names of files that an export may leave out; an older export's is then removed.

    Example:
        >>> target = find_target("paddle_fp32")
        >>> target.write(job, folder)
        >>> run = target.load(folder, "cpu")
        >>> probabilities = run(job.samples.images)
    """

    Options: type[BaseModel]
    engine: str
    baseline: str
    headings: tuple[str, str]
    weights: str
    may_write: Sequence[str]

    def write(self, job: ExportJob, folder: Path) -> None:
        """Write the model into a folder that exists.

        Raises:
            SlimError: the engine cannot express the model.
        """

    def recognizes(self, folder: Path) -> bool:
        """Whether a folder holds an export for this target."""

    def precisions(self, folder: Path, device: str = "cpu") -> Sequence[str]:
        """What ``load`` takes as the precision of such an export on this machine; what it was verified in first."""

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Runner:
        """Load what ``write`` wrote.

        Args:
            folder: what ``write`` wrote into.
            device: ``cpu`` or ``gpu``.
            threads: CPU threads.
            precision: ``auto``: the one that the target is for.

        Raises:
            SlimError: the files, the device or the precision cannot be used.
        """

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare what ``write`` wrote with the trained model.

        Args:
            job: as ``write`` got it.
            folder: what ``write`` wrote into.
            expected: outputs of the trained model on the samples of the job, from before ``write`` (which may
                rearrange the model), ``[n, ...]``.

        Raises:
            SlimError: the export computes something else.
        """


def find_target(name: str, quantized: bool = False) -> Target:
    """Return the target of this name.

    Args:
        name: as in ``Slim.deploy.targets``, or of a file in ``targets/``.
        quantized: whether the model is, which says what ``paddle`` means.

    Raises:
        SlimError: there is none.
    """
    if name == PADDLE:
        name = QUANTIZED if quantized else FLOAT
    target: Target = TARGETS.get(name, Target)  # type: ignore[type-abstract]
    return target


def runners(target: Target, folder: Path, device: str = "cpu", threads: int = 1) -> Iterator[Runner]:
    """Load an export in every precision that it can be run in on this machine; what it was verified in first.

    A precision that the engine refuses for this model (BF16 of some) is said in the log, and left out.

    Raises:
        SlimError: the first cannot be loaded.
    """
    for number, precision in enumerate(target.precisions(folder, device)):
        try:
            yield target.load(folder, device, threads, precision)
        except SlimError as error:
            if number == 0:
                raise
            logger.info(f"ppcls_slim: {target.engine} does not run {folder} in {precision}: {error}")


def target_of(folder: Path) -> Target:
    """Return the target that a folder was exported for.

    Raises:
        SlimError: there is no such folder, or no exported model in it.
    """
    if not folder.is_dir():
        raise SlimError(f"there is no folder {folder}; give one that ppcls-slim export wrote")
    for name in TARGETS.names():
        target = find_target(name)
        if target.recognizes(folder):
            return target
    raise SlimError(f"{folder} holds no exported model ({find_target(FLOAT).may_write[0]} is missing)")
