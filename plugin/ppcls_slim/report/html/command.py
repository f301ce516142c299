"""``ppcls-slim report``: from records on disk to pages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from ...common.atomic import write_text
from .compare import check_comparable
from .page import render, render_comparison
from .record import PAGE, read

COMPARISON = Path("comparison.html")


def draw(folders: Sequence[Path], output: Optional[Path] = None) -> list[Path]:
    """Draw the page of one run again, or one page of several runs.

    Args:
        folders: output folders of runs.
        output: file to write; by default ``report.html`` in the folder, or ``comparison.html`` here.

    Returns:
        The file.

    Raises:
        SlimError: a folder is not the output of a run, or two runs cannot be compared.
    """
    records = [read(folder) for folder in folders]
    if len(records) == 1:
        path = output or folders[0] / PAGE
        write_text(path, render(records[0]))
        return [path]
    check_comparable(records)
    path = output or COMPARISON
    pages = [folder / PAGE for folder in folders]
    links = [_address(page, path.parent) if page.is_file() else None for page in pages]
    write_text(path, render_comparison(records, links))
    return [path]


def _address(page: Path, folder: Path) -> str:
    """Of a page, relative to the page that links to it; names may hold what addresses have a meaning for."""
    return quote(Path(os.path.relpath(page, folder)).as_posix())
