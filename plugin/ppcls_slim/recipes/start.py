"""``ppcls-slim init``: the user's YAML with a ``Slim`` section behind it; nothing else in the file changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ..common.atomic import write_text
from ..common.errors import SlimError
from ..common.yaml_file import parse_yaml, read_yaml
from ..config.clas import check_sections
from ..config.section import read_section
from .section import for_engine, place_of, section_text
from .table import ANY, family_of, find_engine, find_recipe

DEFAULT_ENGINE = "openvino"
"""Where nothing was measured of a family: the fastest in nine of the twelve networks of docs/engines.md."""


def add_section(path: Path, goal: str, engine: Optional[str], output: Optional[Path]) -> tuple[Path, str]:
    """Write a copy of a configuration with a section for a goal.

    Args:
        path: of a PaddleClas configuration.
        goal: one of :data:`.table.GOALS`.
        engine: that will run the model; None: the fastest that was measured.
        output: where the copy goes; beside the file, named after the goal, if None.

    Returns:
        The new file, and the section.

    Raises:
        SlimError: the file is not a configuration, has a ``Slim`` section, or the output is there already.
    """
    output = output if output is not None else path.with_name(f"{path.stem}_{goal}{path.suffix}")
    if output.exists() or output.is_symlink():
        raise SlimError(f"--output: {output} exists already: remove it, or give another file with --output")
    if not output.parent.is_dir():
        raise SlimError(f"--output: there is no folder {output.parent}: make it, or give another file")
    config = _with_numbers(read_yaml(path))
    try:
        check_sections(config, "init")
    except SlimError as error:
        raise SlimError(f"{path}: {error}") from None
    if "Slim" in config:
        raise SlimError(f"{path} has a Slim section already: remove it, or give a file without one")
    read_section(config)  # a misspelt one
    section = _section(config, goal, engine)
    text = path.read_bytes().decode("utf-8")  # not read_text: line ends stay what they are
    end = "\r\n" if "\r\n" in text else "\n"
    text = f"{text.rstrip()}{end}{end}{section.replace(chr(10), end)}"
    _check(text, config, path)
    write_text(output, text)
    return output, section


def _section(config: Mapping[str, Any], goal: str, engine: Optional[str]) -> str:
    backbone = backbone_of(config["Arch"])
    if engine is not None:
        find_engine(engine)
    recipe = find_recipe(family_of(backbone), goal, engine)
    found = find_engine(engine or (recipe.engine if recipe.engine != ANY else DEFAULT_ENGINE))
    return section_text(place_of(config, backbone, for_engine(recipe, found), found))


def _check(text: str, before: Mapping[str, Any], path: Path) -> None:
    """The file says what it said, and a section that is valid."""
    advice = "a section cannot be added behind its last line: write it in block style, without '...' at the end"
    try:
        after = parse_yaml(text, str(path))
    except SlimError as error:
        raise SlimError(f"{error}; {advice}") from None
    if not isinstance(after, dict) or _with_numbers({k: v for k, v in after.items() if k != "Slim"}) != before:
        raise SlimError(f"{path}: {advice}")
    read_section(after)


def _with_numbers(value: Any) -> Any:
    """PaddleClas takes a text such as ``1e-3``, which YAML 1.1 does not take for a number, for one."""
    if isinstance(value, dict):
        return {key: _with_numbers(one) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def backbone_of(arch: Mapping[str, Any]) -> str:
    """Return the name of the backbone: of a recognition model's, or of the student of a distillation."""
    backbone = arch.get("Backbone")
    if isinstance(backbone, Mapping) and isinstance(backbone.get("name"), str):
        return str(backbone["name"])
    for model in arch.get("models") or []:
        for name, part in model.items() if isinstance(model, Mapping) else ():
            if name == arch.get("infer_model_name", "Student") and isinstance(part, Mapping) and part.get("name"):
                return str(part["name"])
    return str(arch.get("name"))
