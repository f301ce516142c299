"""Data sets: are files there, can the first image be read, do labels and batches fit?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from ...compat.paddleclas.types import ClasConfig
from ...config.section import SlimConfig
from ...engine.preflight import missing_data
from ...zoo.datasets import ON_DEMAND
from .finding import Finding, error, ok, warning


@dataclass(frozen=True)
class Listing:
    """A list of images: ``path label`` in a line.

    Attributes:
        key: of the configuration.
        path: of the list.
        images: their paths.
        labels: largest and number of them; None where a line has none that is a number.
        bad_line: number of the first line without an image and a label.
    """

    key: str
    path: Path
    images: list[str]
    largest: int
    bad_line: Optional[int]


def data_findings(config: ClasConfig, slim: SlimConfig) -> Iterator[Finding]:
    """Look at ``DataLoader.Train``, and at ``DataLoader.Eval`` where training evaluates."""
    missing = list(missing_data(config, "train"))
    yield from (error("data", line) for line in missing)
    for part in ("Train", "Eval"):
        section = config["DataLoader"].get(part) or {}
        evaluates = config["Global"].get("eval_during_train")
        if part == "Eval" and not evaluates:
            yield from _without_evaluation(slim)
        elif section.get("dataset") and not any(f"DataLoader.{part}." in line for line in missing):
            yield from _part(config, slim, part, section)


def _without_evaluation(slim: SlimConfig) -> Iterator[Finding]:
    if slim.quant is not None or slim.prune is not None:
        text = "Global.eval_during_train is off: no best model is kept; set it, or take the latest checkpoint"
        yield warning("evaluation", text)


def _part(config: ClasConfig, slim: SlimConfig, part: str, section: Mapping[str, Any]) -> Iterator[Finding]:
    dataset = section["dataset"]
    where = f"{part} data"
    if dataset.get("name") in ON_DEMAND:
        yield ok(where, f"{dataset['name']} writes its files on first use")
        return
    listed = _listing(dataset, f"DataLoader.{part}.dataset")
    if listed is None:
        yield ok(where, f"{dataset.get('name')}: its files are there")
        return
    findings = [*_images(listed, dataset, where), *_labels(config, listed), *_batches(slim, part, section, listed)]
    yield from findings or [ok(where, f"{len(listed.images)} images, labels 0 to {listed.largest}")]


def _listing(dataset: Mapping[str, Any], key: str) -> Optional[Listing]:
    """Read the list of a data set that has one, and whose lines are as PaddleClas reads them."""
    path = dataset.get("cls_label_path")
    if not isinstance(path, str) or not isinstance(dataset.get("image_root"), str):
        return None
    delimiter = str(dataset.get("delimiter") or " ")
    images, largest, bad = [], -1, None
    with Path(path).open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            words = line.strip().split(delimiter)
            if len(words) >= 2 and words[1].isdecimal():
                largest = max(largest, int(words[1]))
            elif bad is None:
                bad = number
            images.append(words[0])
    return Listing(f"{key}.cls_label_path", Path(path), images, largest, bad)


def _images(listed: Listing, dataset: Mapping[str, Any], where: str) -> Iterator[Finding]:
    if not listed.images:
        yield error(
            where, f"{listed.key}: {listed.path} is empty; give a list with a line 'path label' for each image"
        )
        return
    if listed.bad_line is not None:
        text = f"line {listed.bad_line} of {listed.path} is not 'path label'; correct it, or set dataset.delimiter"
        yield (warning if listed.largest >= 0 else error)(where, text)
        return
    first = Path(dataset["image_root"], listed.images[0])
    if not first.is_file():
        yield error(where, f"line 1 of {listed.path} names {first}, which is not there: is image_root right?")
    elif not _is_image(first):
        yield error(where, f"{first} cannot be read as an image: replace it, or take it out of {listed.path}")


def _is_image(path: Path) -> bool:
    content = np.fromfile(path, np.uint8)  # OpenCV raises for an empty one
    return content.size > 0 and cv2.imdecode(content, cv2.IMREAD_COLOR) is not None


def _labels(config: ClasConfig, listed: Listing) -> Iterator[Finding]:
    classes = config["Arch"].get("class_num") or config["Global"].get("class_num")
    if not isinstance(classes, int) or listed.largest < 0 or config["Global"].get("eval_mode") == "retrieval":
        return
    if listed.largest >= classes:
        text = f"Arch.class_num is {classes}, and {listed.path} has the label {listed.largest}"
        yield error("classes", f"{text}: labels count from 0; set -o Arch.class_num={listed.largest + 1}")
    elif listed.largest + 1 < classes:
        text = f"Arch.class_num is {classes}, and the largest label of {listed.path} is {listed.largest}"
        yield warning("classes", f"{text}: classes without images; is -o Arch.class_num={listed.largest + 1} meant?")


def _batches(slim: SlimConfig, part: str, section: Mapping[str, Any], listed: Listing) -> Iterator[Finding]:
    sampler = section.get("sampler") or {}
    size, count = sampler.get("batch_size") or 1, len(listed.images)
    if part != "Train" or not count:
        return
    key, batches = (
        "DataLoader.Train.sampler.batch_size",
        count // size if sampler.get("drop_last") else -(-count // size),
    )
    if batches == 0:
        yield error(
            "batches", f"{key} is {size}, and there are {count} images with drop_last: no step; set it to {count}"
        )
    elif slim.quant is not None and batches < slim.quant.calibration_batches:
        text = f"{count} images are {batches} batches of {size}, and Slim.quant.calibration_batches is"
        yield warning("batches", f"{text} {slim.quant.calibration_batches}: lower {key}, or that")
    elif batches < 4:
        yield warning(
            "batches", f"{count} images are {batches} batches of {size}: an epoch is hardly a step; lower {key}"
        )
