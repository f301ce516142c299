"""``Slim.prune.steps``: prune a part at a time, with training between the parts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step of several, or all at once.

    What is removed grows linearly: after step ``k`` of ``N`` it is ``k / N`` of what ``Slim.prune`` asks for, be it
    channels of a layer (``pruned_ratio``, ``ratios``), FLOPs, parameters or milliseconds (``speedup``,
    ``latency_ms``), each as a share of the dense network. With ``speedup: 2`` and four steps the network takes 7/8,
    6/8, 5/8 and 1/2 of the time of the dense one.

    Attributes:
        number: of the step, from 1.
        of: how many there are.
    """

    number: int = 1
    of: int = 1

    @property
    def part(self) -> float:
        """What is gone after this step, as a share of what shall be gone in the end."""
        return self.number / self.of

    def __str__(self) -> str:
        return f"step {self.number} of {self.of}"
