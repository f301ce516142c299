"""``report.json``: what is known about a run, in one versioned file. ``docs/report.md`` lists the keys for people.

FLOPs are multiply-accumulates, see :mod:`ppcls_slim.prune.flops`; accuracies are shares, 0 to 1; files are in bytes.
A figure that was not measured is null.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ...common.atomic import write_json
from ...common.errors import SlimError
from ...common.numbers import finite_or_none
from ...common.validation import first_mistake

FORMAT = 1
"""Version of the JSON. It is raised when a key changes its meaning; keys that are added keep it."""
FILE, PAGE = "report.json", "report.html"

Figure = Annotated[Optional[float], BeforeValidator(finite_or_none)]
"""A number; null where it was not measured, or is not finite."""

Alphas = Annotated[list[tuple[int, Annotated[float, Field(gt=0, allow_inf_nan=False)]]], Field(min_length=1)]
"""``[[epoch, alpha], ...]`` of one layer."""


class Part(BaseModel):
    """A part of the record. Keys that this version does not know are kept."""

    model_config = ConfigDict(extra="allow")


class Data(Part):
    """``DataLoader.Eval``: accuracies of two runs can be compared where it is the same.

    Attributes:
        dataset: class of the data set.
        images: how many evaluation images there are.
        classes: of the model.
        labels: name of the file of labels, or of the split.
    """

    dataset: Optional[str] = None
    images: Optional[int] = None
    classes: Optional[int] = None
    labels: Optional[str] = None


class Epoch(Part):
    """One epoch of training.

    Attributes:
        epoch: number, from 1 in every stage.
        learning_rate: at its beginning.
        loss: mean over the epoch, with everything that ``Loss.Train`` adds up.
        train: first metric of ``Metric.Train`` over the epoch, a share.
        evaluated: first metric of ``Metric.Eval`` after the epoch, a share.
    """

    epoch: int
    learning_rate: Figure = None
    loss: Figure = None
    train: Figure = None
    evaluated: Figure = None


class Stage(Part):
    """One training, from its first epoch to its last; a resumed training goes on with it.

    Attributes:
        name: what was trained: ``dense``, ``masked``, ``pruned`` or ``quantized``.
        step: of ``Slim.prune.steps``, as ``step 1 of 3``; empty where the stage is not one of them.
        epochs: that were trained.
        asked: as ``Record.training``, of this stage.
    """

    name: str
    step: str = ""
    asked: dict[str, Any] = Field(default_factory=dict)
    epochs: list[Epoch] = Field(default_factory=list)

    @property
    def label(self) -> str:
        """What tells it from the other stages of a run."""
        return f"{self.name}, {self.step}" if self.step else self.name


class Model(Part):
    """The model at one point of the run.

    Attributes:
        name: ``dense``, ``pruned`` or ``quantized``.
        top1: after training.
        untrained: top-1 right after pruning or calibration, before training.
        flops: of one input.
        parameters: how many there are.
    """

    name: str
    top1: Figure = None
    untrained: Figure = None
    flops: Optional[int] = None
    parameters: Optional[int] = None


class Width(Part):
    """Channels that are pruned together.

    Attributes:
        layer: whose filters were scored.
        others: layers that lose the same channels.
        before: channels of the dense model.
        after: channels that are kept.
        note: why it is not what the configuration says.
        importance: scores of the criterion in the dense model, ascending, relative to the largest; at most 33
            quantiles of them.
    """

    layer: str
    others: list[str] = Field(default_factory=list)
    before: Annotated[int, Field(gt=0)]
    after: Annotated[int, Field(ge=0)]
    note: str = ""
    importance: list[float] = Field(default_factory=list)


class QuantSensitivity(Part):
    """What ``Slim.quant.skip: auto`` measured.

    Attributes:
        errors: layer -> relative squared error of the outputs where it is quantized alone.
        top1: ``[[layers left float, top-1], ...]``.
        float_top1: top-1 of the float model.
        chosen: layers that stay float.
    """

    errors: dict[str, float] = Field(default_factory=dict)
    top1: list[tuple[int, float]] = Field(default_factory=list)
    float_top1: Figure = None
    chosen: list[str] = Field(default_factory=list)


class Way(Part):
    """One way of running the model: an engine and a precision. All were timed in turns, batch 1, one thread.

    Attributes:
        target: as in ``Slim.deploy.targets``.
        engine: what runs it, in words.
        model: ``dense`` (untrained weights, for its latency) or ``exported``.
        precision: what it runs in.
        folder: where it lies; of the dense model a folder that is gone.
        file_bytes: size of its file of weights.
        latency_ms: median.
        low_ms, high_ms: spread of the latency: its 10th and 90th percentile.
        speed_up: latency of the dense model in FP32 in the same engine / of this.
        top1: on the evaluation data.
        same: share of predictions as the trained model.
        holds: whether its accuracy is within ``Slim.quant.verify_threshold`` of the trained model's.
    """

    target: str
    engine: str
    model: str
    precision: str
    folder: str = ""
    file_bytes: Optional[int] = None
    latency_ms: Figure = None
    low_ms: Figure = None
    high_ms: Figure = None
    speed_up: Figure = None
    top1: Figure = None
    same: Figure = None
    holds: bool = True


class Row(Part):
    """A figure of the model before compression, and of the export: :class:`ppcls_slim.report.tables.Comparison`."""

    what: str
    before: Figure = None
    after: Figure = None
    unit: str = ""
    spread_before: Optional[tuple[float, float]] = None
    spread_after: Optional[tuple[float, float]] = None


class Agreement(Part):
    """How close one way of running the export is to the trained model.

    Attributes:
        target: as in ``Slim.deploy.targets``.
        run: ``fake-quant`` is the trained model itself.
        samples: how many were compared.
        source: where they came from.
        accuracy: top-1, or recall@1 of features.
        same: share of equal top-1 predictions, or mean cosine of features.
    """

    target: str
    run: str
    samples: int
    source: str
    accuracy: Figure = None
    same: Figure = None


class Export(Part):
    """The last export.

    Attributes:
        checkpoint: path prefix of what was exported.
        written: when, ISO 8601.
        device: ``cpu`` or ``gpu``.
        headings: of ``rows``: the model before compression, and the export.
        rows: the table of the first target.
        ways: the table of all targets.
        agreement: fake-quant against what was exported.
        layers_float: target -> layers that this engine runs in float.
        advice: which export to deploy.
        warnings: of the export.
    """

    checkpoint: str = ""
    written: str = ""
    device: str = ""
    headings: tuple[str, str] = ("dense", "compressed")
    rows: list[Row] = Field(default_factory=list)
    ways: list[Way] = Field(default_factory=list)
    agreement: list[Agreement] = Field(default_factory=list)
    layers_float: dict[str, list[str]] = Field(default_factory=dict)
    advice: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class Command(Part):
    """A command that repeats a part of the run."""

    what: str
    line: str


class Record(Part):
    """What is known about a run.

    Attributes:
        format: version of this JSON.
        arch: ``Arch.name``.
        output: ``Global.output_dir``, as it was given.
        written: when, ISO 8601.
        slim: the ``Slim`` section as it was asked for.
        training: what else was asked for, in the last stage: epochs, batch size, optimizer, seed, weights.
        data: what accuracies were measured on.
        metric: name of the accuracy on the evaluation data.
        stages: curves of training.
        models: the model before, between and after.
        widths: channels before and after pruning.
        frozen: layer -> why its filters were not pruned.
        layers_float: layer -> why it was not quantized.
        sensitivity: layer -> ``[[ratio, loss of accuracy], ...]``, of ``Slim.prune.sensitivity_file``.
        quant_sensitivity: of ``Slim.quant.skip: auto``.
        alpha: layer -> ``[[epoch, alpha], ...]``; epoch 0 is what training started from.
        method: quantizer that the alphas belong to.
        export: the last export; null before the first.
        warnings: of the training.
        versions: of everything that had a part.
        machine: processor, cores and system.
        commands: that repeat the run.
    """

    format: Literal[1] = 1
    arch: str
    output: str
    written: str = ""
    slim: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    data: Data = Field(default_factory=Data)
    metric: str = "top-1"
    stages: list[Stage] = Field(default_factory=list)
    models: list[Model] = Field(default_factory=list)
    widths: list[Width] = Field(default_factory=list)
    frozen: dict[str, str] = Field(default_factory=dict)
    layers_float: dict[str, str] = Field(default_factory=dict)
    sensitivity: dict[str, list[tuple[float, float]]] = Field(default_factory=dict)
    quant_sensitivity: Optional[QuantSensitivity] = None
    alpha: dict[str, Alphas] = Field(default_factory=dict)
    method: str = ""
    export: Optional[Export] = None
    warnings: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str] = Field(default_factory=dict)
    commands: list[Command] = Field(default_factory=list)

    def model(self, name: str) -> Optional[Model]:
        """Return the model of this name, or None."""
        return next((one for one in self.models if one.name == name), None)


def write(record: Record, folder: Path) -> Path:
    """Write ``report.json`` into a folder, atomically; return its path."""
    path = folder / FILE
    write_json(path, record.model_dump(mode="json"))
    return path


def _nearby(folder: Path) -> str:
    """Of the folder with the checkpoints, or one with several runs: where a record is."""
    near = [folder.parent, *sorted(one for one in folder.iterdir() if one.is_dir())]
    found = next((one for one in near if (one / FILE).is_file()), None)
    return "" if found is None else f"; {found} has one"


def read(folder: Path) -> Record:
    """Read ``report.json`` of an output folder.

    Raises:
        SlimError: the folder is not there, is not the output of a run, or the record is damaged or of a later format.
    """
    path = folder / FILE
    if not folder.is_dir():
        raise SlimError(f"there is no folder {folder}: give Global.output_dir of a run")
    if not path.is_file():
        raise SlimError(
            f"{folder} is not the output folder of a run: it has no {FILE}, which training writes{_nearby(folder)}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SlimError(f"{path} is damaged ({str(error)[:100]}): restore it, or train or export again") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise SlimError(
            f"{path} has format {str(found)[:20]!r}, this version reads {FORMAT}: use the one that wrote it"
        )
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        reason = first_mistake(error, Record)
    raise SlimError(f"{path} is damaged ({reason[:200]}): restore it, or train or export again")
