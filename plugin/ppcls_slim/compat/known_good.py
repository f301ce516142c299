"""The versions that are tested, for whoever has another one."""

from __future__ import annotations

from dataclasses import dataclass

from .paddle import paddle
from .paddleclas.find import ppcls_version
from .paddleslim import paddleslim_version

TESTED = {
    "Paddle": ("2.6.2", "3.3."),
    "PaddleClas": ("2.4.2", "source"),
    "PaddleSlim": ("2.6.0",),
}
"""Package -> versions, or their beginnings, that CI runs."""
MISSING = "none"


@dataclass(frozen=True)
class Version:
    """A package as it is installed.

    Attributes:
        package: its name.
        version: ``none`` where it is not installed.
        tested: whether CI runs this version.
    """

    package: str
    version: str
    tested: bool


def versions() -> list[Version]:
    """Return Paddle, PaddleClas and PaddleSlim."""
    found = {"Paddle": paddle.__version__, "PaddleClas": ppcls_version(), "PaddleSlim": paddleslim_version()}
    return [Version(name, version, version.startswith(TESTED[name])) for name, version in found.items()]
