"""PaddleClas's own label files are found only from inside a checkout.

Symptom: predictions without class names. The configurations name ``ppcls/utils/imagenet1k_label_list.txt``, which is
looked for below the current folder.
Versions: PaddleClas 2.4.2, release/2.5 and develop.
Delete when: PaddleClas looks for its files beside its code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from ..find import find_ppcls


def patch(root: Path) -> None:
    """Let ``Topk`` look inside PaddleClas as well.

    Args:
        root: the folder that contains ``ppcls``.
    """
    from ppcls.data.postprocess import topk  # after find_ppcls

    if getattr(topk.Topk, "_finds_labels", False):
        return
    parse = topk.Topk.parse_class_id_map

    def parse_class_id_map(self: Any, class_id_map_file: Optional[str]) -> Any:
        return parse(self, resolve_ppcls_path(class_id_map_file, root))

    topk.Topk.parse_class_id_map = parse_class_id_map
    topk.Topk._finds_labels = True


def resolve_ppcls_path(path: Optional[str], root: Optional[Path] = None) -> Optional[str]:
    """Return ``path``, or the file of that name inside PaddleClas where only that one exists."""
    if path is None or Path(path).exists():
        return path
    inside = (root or find_ppcls()) / path
    return str(inside) if inside.exists() else path
