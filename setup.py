"""What setup.cfg cannot say: the wheel carries the configurations of the quickstart, which lie beside the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path("ppcls_configs/quickstart")


class BuildWithQuickstart(build_py):
    """``ppcls_configs/quickstart`` is copied to ``ppcls_slim/quickstart``; an editable install finds the original."""

    def run(self) -> None:
        """Copy it behind the package's own files."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(SOURCE, Path(self.build_lib) / "ppcls_slim/quickstart", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithQuickstart})
