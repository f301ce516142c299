"""The configurations of the quickstart: ``ppcls_configs/quickstart`` of a checkout, which a wheel carries too."""

from __future__ import annotations

import re
from pathlib import Path

from ..common.atomic import atomic_folder
from ..common.errors import SlimError

PLACE = "ppcls_configs/quickstart"
"""In a checkout, and in the texts of the configurations."""
IN_WHEEL = Path(__file__).parent.parent / "quickstart"
"""Where setup.py puts a copy in a wheel."""
IN_CHECKOUT = Path(__file__).resolve().parents[3] / PLACE
SCRIPTS = {"train": "train", "export_model": "export", "slim_plan": "plan", "benchmark": "benchmark"}


def quickstart_folder() -> Path:
    """Return where they lie.

    Raises:
        SlimError: neither this package nor a checkout around it has them.
    """
    for folder in (IN_WHEEL, IN_CHECKOUT):
        if (folder / "digits_prune.yaml").is_file():
            return folder
    raise SlimError(f"--quickstart: the installed ppcls_slim has no {IN_WHEEL}: install it again, from its wheel")


def copy_quickstart(folder: Path) -> Path:
    """Copy them, with the paths and commands in them as they are right from the current folder.

    Raises:
        SlimError: the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SlimError(f"--quickstart: {folder} exists and is not empty: give another folder")
    source = quickstart_folder()
    with atomic_folder(folder) as writing:
        for path in sorted(source.iterdir()):
            content = path.read_bytes()
            if path.suffix == ".yaml":
                content = _moved(content.decode("utf-8"), folder).encode("utf-8")
            (writing / path.name).write_bytes(content)
    return folder


def _moved(text: str, folder: Path) -> str:
    scripts = "|".join(SCRIPTS)
    text = re.sub(rf"python tools/({scripts})\.py", lambda found: f"ppcls-slim {SCRIPTS[found[1]]}", text)
    return text.replace(PLACE, folder.as_posix())
