"""Which backbones stand for their families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Optional

from ppcls_slim.common.errors import SlimError, did_you_mean

# Files that the smallest model does not stand for: it has no published weights, or there are other blocks.
REPRESENTATIVES: dict[str, tuple[str, ...]] = {
    "cae": (),  # cannot be built without arguments
    "dla": ("DLA46_c",),
    "mobilenet_v3": ("MobileNetV3_small_x0_35", "MobileNetV3_large_x0_35"),
    "mobilevit_v3": ("MobileViTV3_XXS",),
    "res2net": ("Res2Net50_26w_4s",),
    "resnet": ("ResNet18", "ResNet18_vd", "ResNet50", "ResNet50_vd"),
    "twins": ("pcpvt_small",),
}


@dataclass(frozen=True)
class Backbone:
    """A constructor.

    Attributes:
        name: in ``ppcls.arch.backbone``.
        file: last part of the module that it comes from.
        parameters: elements of the parameters; None where they cannot be counted, or were not.
    """

    name: str
    file: str
    parameters: Optional[int]


def smallest(backbones: Sequence[Backbone]) -> list[str]:
    """The backbone with the fewest parameters of each file, or its ``REPRESENTATIVES``; in the order given.

    Where some cannot be counted, the first of the file. Files of variants (``resnet_variant``) have none.
    """
    files: dict[str, list[Backbone]] = {}
    for one in backbones:
        if not one.file.endswith("_variant"):
            files.setdefault(one.file, []).append(one)
    chosen: set[str] = set()
    for file, members in files.items():
        if file in REPRESENTATIVES:
            chosen.update(REPRESENTATIVES[file])
        elif members[0].parameters is None:
            chosen.add(members[0].name)
        else:
            chosen.add(min(members, key=lambda one: one.parameters or float("inf")).name)
    return [one.name for one in backbones if one.name in chosen]


def matching(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Names that fit the shell patterns, in the order of the patterns.

    Raises:
        SlimError: a pattern fits none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SlimError(f"coverage: there is no backbone {pattern}{did_you_mean(pattern, names)}")
    return list(dict.fromkeys(name for pattern in patterns for name in names if fnmatchcase(name, pattern)))
