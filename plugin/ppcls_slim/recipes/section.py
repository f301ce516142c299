"""A recipe as the text of a ``Slim`` section, with comments that say where its figures come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..common.errors import SlimError
from .table import ANY, Engine, Recipe

COLUMN = 34
"""Where comments stand."""


@dataclass(frozen=True)
class Place:
    """What a section is written for.

    Attributes:
        backbone: of ``Arch``.
        recipe: the row of the table.
        engine: that will run the model.
        learning_rate: ``Optimizer.lr.learning_rate``, where it is a number.
        warms_up: whether ``Optimizer.lr`` warms up.
        evaluates: whether top-1 is measured while training, which ``skip: auto`` needs.
        mixed_precision: whether ``AMP`` is on, which quantization does without.
    """

    backbone: str
    recipe: Recipe
    engine: Engine
    learning_rate: Optional[float]
    warms_up: bool
    evaluates: bool
    mixed_precision: bool


def for_engine(recipe: Recipe, engine: Engine) -> Recipe:
    """Return the row as this engine takes it; figures of another one are left out.

    Raises:
        SlimError: nothing of it is left.
    """
    if recipe.engine == ANY and recipe.prunes and engine.align and recipe.align != "1":
        recipe = replace(recipe, align=engine.align)
    if engine.quantizes != "yes":
        if not recipe.prunes:
            other = (
                "cannot be pruned" if "cannot be pruned" in recipe.note else f"--goal {recipe.goal} only quantizes"
            )
            raise SlimError(
                f"--engine {engine.engine} has no int8, and {recipe.family} {other}: nothing is gained; take "
                "--engine tensorrt, or another goal"
            )
        recipe = replace(recipe, quantizer="", skip="")
    if engine.form:
        recipe = replace(recipe, skip="")  # nothing is timed, or left float, on this machine
    return recipe


def section_text(place: Place) -> str:
    """Return the section, its comments first."""
    lines = ["Slim:", *_prune(place), *_quant(place), "  deploy:"]
    lines += [_commented(f"    targets: [{place.engine.target}]", _installed(place.engine))]
    lines += [_commented("  report: true", "exports when training ends, and prints dense against compressed")]
    return "\n".join([*(f"# {line}" for line in _expected(place)), *lines]) + "\n"


def _prune(place: Place) -> Iterator[str]:
    recipe = place.recipe
    if not recipe.prunes:
        return
    yield "  prune:"
    yield _commented(f"    name: {recipe.criterion}", "by weights alone; taylor scores training batches")
    if recipe.budget == "speedup":
        yield _commented(f"    speedup: {recipe.value}", "times as fast as dense, measured here while pruning")
        yield f"    on: {{engine: {place.engine.engine}, threads: 1, batch: 1}}"
        return
    yield _commented(f"    pruned_ratio: {recipe.value}", "of the filters of every convolution")
    yield _commented(f"    align: {recipe.align}", "multiples that engines compute at once")


def _quant(place: Place) -> Iterator[str]:
    recipe = place.recipe
    if not recipe.quantizer:
        return
    yield "  quant:"
    yield _commented(f"    name: {recipe.quantizer}", "trained with quantization, exported in int8")
    if place.engine.form:
        yield _commented(f"    pact: {{form: {place.engine.form}}}", f"{place.engine.name}'s int8 is signed")
    skip = [word for word in recipe.skip.split() if word != "auto" or place.evaluates]
    if skip:
        told = {"auto": "what costs accuracy", "auto-speed": "what gains nothing in int8"}
        yield _commented(f"    skip: [{', '.join(skip)}]", f"left float: {' and '.join(told[word] for word in skip)}")
    if recipe.prunes:
        yield _commented(
            f"    epochs: {recipe.epochs}", "after those of Global.epochs, which fine-tune what is pruned"
        )
    if place.learning_rate:
        rate = _number(place.learning_rate * float(recipe.learning_rate))
        text = f"{float(recipe.learning_rate):g} of Optimizer.lr.learning_rate, which is for training from scratch"
        yield _commented(f"    learning_rate: {rate}", text)


def _number(value: float) -> str:
    """As YAML 1.1 reads a number: ``1.0e-05``, for which PyYAML wants the point."""
    mantissa, e, exponent = repr(float(f"{value:.6g}")).partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}{e}{exponent}"


def _expected(place: Place) -> Iterator[str]:
    """What was measured, and what to do next."""
    recipe, engine = place.recipe, place.engine
    yield f"{place.backbone} for {engine.name}, --goal {recipe.goal}: the recipe of the family {recipe.family}."
    where = f"{recipe.backbone}{f' in {engine.name}' if recipe.engine != ANY else ''}"
    figures = list(_figures(recipe))
    if figures:
        yield f"Measured ({where}): {'; '.join(figures)}."
    if recipe.note:
        yield f"Known: {recipe.note}."
    elif not recipe.int8_times and not recipe.pruned_times:
        yield "Known: latency and accuracy were not measured."
    if recipe.source:
        yield f"Figures: {', '.join(recipe.source.split())}. Your model, data and machine will differ."
    yield "Accuracy on ImageNet was not measured: look at the table that training ends in."
    if place.mixed_precision and recipe.quantizer:
        yield "AMP is on above, and quantization trains in float32: add -o AMP.use_amp=False."
    if not recipe.prunes:
        warm = " Optimizer.lr.warmup_epoch=0" if place.warms_up else ""
        yield f"Global.epochs above are of training from scratch: add -o Global.epochs={recipe.epochs}{warm}."


def _figures(recipe: Recipe) -> Iterator[str]:
    if recipe.pruned_times:
        yield f"pruned {recipe.pruned_times} times as fast as dense"
    if recipe.flops_removed:
        yield f"{100 * float(recipe.flops_removed):.0f} % of the FLOPs pruned"
    if recipe.int8_times:
        yield f"int8 {recipe.int8_times} times as fast as FP32, by itself"
    if recipe.both_times:
        yield f"pruned and int8 {recipe.both_times} times"
    if recipe.bf16_times:
        yield f"BF16 {recipe.bf16_times} times, without training, where the CPU has it"
    if recipe.smaller:
        yield f"file of weights {recipe.smaller} times smaller"


def _installed(engine: Engine) -> str:
    return f"pip install 'ppcls_slim[{engine.extra}]'" if engine.extra else ""


def _commented(line: str, comment: str) -> str:
    return f"{line:<{COLUMN}}  # {comment}" if comment else line


def place_of(config: Mapping[str, Any], backbone: str, recipe: Recipe, engine: Engine) -> Place:
    """Look up in a configuration what a section depends on."""
    part = config.get("Optimizer")
    rates = part.get("lr") if isinstance(part, Mapping) else None
    rates = rates if isinstance(rates, Mapping) else {}
    rate, settings = rates.get("learning_rate"), config["Global"]
    classifies = settings.get("eval_mode", "classification") == "classification"
    return Place(
        backbone=backbone,
        recipe=recipe,
        engine=engine,
        learning_rate=float(rate) if isinstance(rate, (int, float)) and not isinstance(rate, bool) else None,
        warms_up=bool(rates.get("warmup_epoch")),
        evaluates=bool(settings.get("eval_during_train")) and classifies,
        mixed_precision=bool(config.get("AMP")) and bool(config["AMP"].get("use_amp", True)),
    )
