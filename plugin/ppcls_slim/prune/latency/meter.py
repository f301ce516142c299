"""What pruning asks of whoever measures latency; ``deploy/latency/`` answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..slices import SlicePlan


@dataclass(frozen=True)
class LayerShape:
    """What the latency of a layer depends on beside its numbers of inputs and outputs.

    Attributes:
        kernel: ``(height, width)``; empty for a linear layer.
        stride: as the kernel.
        dilation: as the kernel.
        grouping: ``dense``; ``depthwise``: inputs are outputs, one filter each; ``grouped``: its groups have
            ``group_inputs`` inputs, and their number follows the outputs.
        group_inputs: of a grouped convolution; 0 of others.
        group_outputs: as the inputs.
        size: ``(height, width)`` of the input; of a linear layer ``(1, rows)``.
        output: ``(height, width)`` of the output.
        activation: that follows at once (normalization apart), ``relu``; empty for none.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    grouping: str
    group_inputs: int
    group_outputs: int
    size: tuple[int, int]
    output: tuple[int, int]
    activation: str

    @property
    def linear(self) -> bool:
        """Whether it is a linear layer."""
        return not self.kernel

    def __str__(self) -> str:
        if self.linear:
            return f"linear, {self.size[1]} rows{f', {self.activation}' if self.activation else ''}"
        words = [f"convolution {_times(self.kernel)}", f"stride {_times(self.stride)}"]
        if set(self.dilation) != {1}:
            words.append(f"dilation {_times(self.dilation)}")
        if self.grouping == "grouped":
            words.append(f"groups of {self.group_inputs} to {self.group_outputs}")
        elif self.grouping != "dense":
            words.append(self.grouping)
        words += [self.activation] if self.activation else []
        return f"{', '.join(words)}, {_times(self.size)} to {_times(self.output)}"


@dataclass(frozen=True)
class LayerPoint:
    """A layer at one width.

    Attributes:
        shape: of the layer.
        inputs: number of input channels or features.
        outputs: number of output channels or features.
    """

    shape: LayerShape
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Place:
    """What the model shall be fast on.

    Attributes:
        engine: with its version, ``OpenVINO 2026.4.0``.
        threads: CPU threads.
        batch: images at once.
        precision: ``fp32``.
    """

    engine: str
    threads: int
    batch: int
    precision: str

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.engine}, {threads}" + (f", batch {self.batch}" if self.batch > 1 else "")


class LatencyMeter(Protocol):
    """Measures layers and networks on one engine of this machine.

    Attributes:
        place: the engine.
    """

    place: Place

    def layers(self, points: Sequence[Sequence[LayerPoint]]) -> dict[LayerPoint, float]:
        """Measure layers.

        Args:
            points: rows of layers that are timed in turns, as the layers of one network would run.

        Returns:
            Milliseconds of every point.
        """

    def network(self, slices: SlicePlan) -> tuple[float, float]:
        """Export the model without some channels, and time it in turns with the dense one.

        Returns:
            Milliseconds of the dense model, and of the pruned one.
        """

    def say(self, text: str) -> None:
        """Tell the user how far it is."""


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
