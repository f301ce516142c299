"""Collect what is known about a run, for ``report.json``: see :mod:`ppcls_slim.report.html.record`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional, Protocol

from ..checkpoint import Checkpoint, Metadata, versions
from ..common import command_line
from ..compat.paddleclas.config import copy_config
from ..compat.paddleclas.types import ClasConfig, DataLoader
from ..config.section import SlimConfig
from ..prune.flops import measure
from ..prune.plan import Decision, Plan
from ..quant.record import QuantRecord
from ..report.html import record as html
from .build import build_untrained
from .costly_layers import FILE as QUANT_SENSITIVITY
from .progress import Progress
from .states import Masked, MaskedTraining, State

VERBOSITY = ("-v", "--verbose", "-q", "--quiet")
DENSE, MASKED, PRUNED, QUANTIZED = "dense", "masked", "pruned", "quantized"


class Trained(Protocol):
    """What is collected from: :class:`.engine.SlimEngine`."""

    original_config: ClasConfig
    learning_rate: Optional[float]
    slim: SlimConfig
    checkpoint: Optional[Checkpoint]
    metadata: Metadata
    progress: Progress
    state: State
    eval_mode: str
    eval_dataloader: Optional[DataLoader]

    @property
    def plan(self) -> Optional[Plan]:
        """How the model was pruned."""

    @property
    def quant(self) -> Optional[QuantRecord]:
        """How the model was quantized."""


def name_of(state: State) -> str:
    """What the model is, in one word."""
    if state.quant is not None:
        return QUANTIZED
    if isinstance(state, (Masked, MaskedTraining)):
        return MASKED
    return PRUNED if state.plan is not None else DENSE


def stage_of(engine: Trained) -> html.Stage:
    """Return the training that is about to begin, with no epoch yet."""
    step = engine.plan.step if engine.plan is not None else None
    return html.Stage(name=name_of(engine.state), step=str(step or ""), asked=_training(engine))


def record_of_training(engine: Trained) -> html.Record:
    """Return the record of a training that has ended."""
    config, plan, quant = engine.original_config, engine.plan, engine.quant
    metadata = engine.metadata
    return html.Record(
        arch=str(config["Arch"]["name"]),
        output=str(config["Global"]["output_dir"]),
        written=now(),
        slim=_plain(config.get("Slim") or {}),
        training=_training(engine),
        data=_data(engine),
        metric="top-1" if engine.eval_mode == "classification" else "metric on the evaluation data",
        stages=engine.progress.stages,
        models=_models(engine),
        widths=[_width(decision, metadata.importance or {}) for decision in plan.decisions] if plan else [],
        frozen=plan.frozen if plan is not None else {},
        layers_float=quant.skipped_layers if quant is not None else {},
        sensitivity=_sensitivity(engine),
        quant_sensitivity=_quant_sensitivity(Path(config["Global"]["output_dir"])),
        alpha=_alpha(metadata) if quant is not None else {},
        method=quant.settings.method if quant is not None else "",
        warnings=metadata.warnings or [],
        versions=versions(),
        machine=_machine(),
        commands=_commands(engine),
    )


def now() -> str:
    """The time as ISO 8601, in UTC, to the minute."""
    return datetime.now(timezone.utc).isoformat(sep=" ", timespec="minutes")


def _models(engine: Trained) -> list[html.Model]:
    plan, quant, metadata = engine.plan, engine.quant, engine.metadata
    flops, parameters = _cost(engine, plan)
    best = engine.progress.best.metric if engine.progress.best is not None else None
    models = [html.Model(name=DENSE, top1=metadata.top1_dense, flops=flops[0], parameters=parameters[0])]
    if plan is not None:
        trained = _best_of_stages(engine.progress.stages, (PRUNED, MASKED)) if quant is not None else best
        model = html.Model(name=PRUNED, top1=trained, untrained=metadata.top1_pruned)
        models.append(model.model_copy(update={"flops": flops[1], "parameters": parameters[1]}))
    if quant is not None:
        model = html.Model(name=QUANTIZED, top1=best, untrained=metadata.top1_calibrated)
        models.append(model.model_copy(update={"flops": flops[1], "parameters": parameters[1]}))
    if plan is None and quant is None:
        models[0].top1 = best
    return models


def _best_of_stages(stages: list[html.Stage], names: tuple[str, ...]) -> Optional[float]:
    """Accuracy of the float model that was quantized: the best of the last stage before that."""
    floats = [stage for stage in stages if stage.name in names]
    found = [epoch.evaluated for epoch in (floats[-1].epochs if floats else []) if epoch.evaluated is not None]
    return max(found, default=None)


def _cost(
    engine: Trained, plan: Optional[Plan]
) -> tuple[tuple[Optional[int], Optional[int]], tuple[Optional[int], Optional[int]]]:
    """FLOPs and parameters, each of the dense model and of this one."""
    if plan is not None:
        flops, parameters = plan.flops, plan.parameters
        return (flops["dense"], flops["pruned"]), (parameters["dense"], parameters["pruned"])
    try:
        config = copy_config(engine.original_config)
        cost = measure(build_untrained(config), config["Global"]["image_shape"])
    except Exception:  # a model that wants labels beside its images, say
        return (None, None), (None, None)
    return (cost.flops(), cost.flops()), (cost.parameters, cost.parameters)


def _width(decision: Decision, importance: Mapping[str, list[float]]) -> html.Width:
    layer, *others = decision.layers or (decision.root_weight,)
    return html.Width(
        layer=layer,
        others=others,
        before=decision.prunable_channels,
        after=len(decision.kept),
        note=decision.note,
        importance=importance.get(decision.root_weight, []),
    )


def _alpha(metadata: Metadata) -> dict[str, list[tuple[int, float]]]:
    return {name: [(int(epoch), alpha) for epoch, alpha in points] for name, points in (metadata.alpha or {}).items()}


def _sensitivity(engine: Trained) -> dict[str, list[tuple[float, float]]]:
    section = engine.slim.prune
    if section is None or section.sensitivity_file is None:
        return {}
    try:
        table = json.loads(Path(section.sensitivity_file).read_text(encoding="utf-8"))
        return {
            layer: sorted((float(r), float(loss)) for r, loss in losses.items()) for layer, losses in table.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}  # PaddleSlim's pickle


def _quant_sensitivity(folder: Path) -> Optional[html.QuantSensitivity]:
    try:
        found = json.loads((folder / QUANT_SENSITIVITY).read_text(encoding="utf-8"))
        top1 = sorted((int(number), float(value)) for number, value in found["top1"].items())
        known = {key: found.get(key) for key in ("errors", "float_top1", "chosen")}
        return html.QuantSensitivity(top1=top1, **{key: value for key, value in known.items() if value is not None})
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _data(engine: Trained) -> html.Data:
    config = engine.original_config
    section = ((config.get("DataLoader") or {}).get("Eval") or {}).get("dataset") or {}
    loader: Any = getattr(engine, "eval_dataloader", None)  # only where it evaluates
    try:
        images = len(loader.dataset)
    except (AttributeError, TypeError):  # none, or DALI's
        images = None
    arch = config["Arch"]
    classes = arch.get("class_num") or (arch.get("Head") or {}).get("class_num")
    labels = section.get("cls_label_path") or section.get("split")
    name = section.get("name")
    return html.Data(dataset=name, images=images, classes=classes, labels=Path(str(labels)).name if labels else None)


def _training(engine: Trained) -> dict[str, Any]:
    """What was asked for beside the ``Slim`` section, by names that the page shows."""
    config = engine.original_config
    section, optimizer = config["Global"], config.get("Optimizer") or {}
    sampler = ((config.get("DataLoader") or {}).get("Train") or {}).get("sampler") or {}
    rate = optimizer.get("lr") or {}
    asked = {
        "pretrained": section.get("pretrained_model") or config["Arch"].get("pretrained"),
        "epochs": section.get("epochs"),
        "batch_size": sampler.get("batch_size"),
        "optimizer": optimizer.get("name"),
        "learning_rate": engine.learning_rate,
        "schedule": rate.get("name"),
        "image_shape": section.get("image_shape"),
        "seed": section.get("seed"),
        "device": section.get("device"),
    }
    return {key: _plain(value) for key, value in asked.items()}


def _commands(engine: Trained) -> list[html.Command]:
    train = command_line.arguments_of("train")
    best = engine.progress.best_checkpoint
    said = [html.Command(what="Train again", line=command_line.line("train", *_lasting(train)))] if train else []
    if train and best is not None:
        given = _lasting(train)
        weights = ("-o", f"Global.pretrained_model={best}", "-o", "Global.checkpoints=null")
        for what, command in (("Evaluate the best model", "eval"), ("Export the best model", "export")):
            said.append(html.Command(what=what, line=command_line.line(command, *given, *weights)))
    output = str(engine.original_config["Global"]["output_dir"])
    return [*said, html.Command(what="Draw this page again", line=command_line.line("report", output))]


def _lasting(arguments: list[str]) -> list[str]:
    """Leave out where a training was resumed from, and how much of it was shown."""
    kept, rest = [], iter(arguments)
    for argument in rest:
        if argument == "--resume":
            next(rest, None)
        elif not argument.startswith("--resume=") and argument not in VERBOSITY:
            kept.append(argument)
    return kept


def _machine() -> dict[str, str]:
    return {"processor": _processor(), "cores": str(os.cpu_count()), "system": platform.platform(terse=True)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def _plain(value: Any) -> Any:
    """Turn PaddleClas's ``AttrDict`` into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
