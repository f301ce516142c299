"""One training run: its state, one step of it, and the CUDA graph that repeats the step."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from algorithms import filter_mask, sgd_step
from cifar10 import PAD, Cifar10
from models import Parameters, forward
from rows import Spec
from torch import Tensor

MILESTONES = (60, 120, 160)
TEST_BATCH = 1000


def learning_rate(epoch: int, epochs: int, tuned: bool) -> float:
    """Return the rate of the authors' scripts: 0.01 for one epoch, then 0.1, times 0.2 at 60, 120, 160.

    A run from trained weights has a tenth of it. Other lengths than 200 epochs scale the milestones.
    """
    drops = sum(epoch * 200 >= milestone * epochs for milestone in MILESTONES)
    return 0.1 * (0.1 if epoch == 0 else 0.2**drops) * (0.1 if tuned else 1.0)


def loss_of(
    params: dict[str, Tensor],
    buffers: dict[str, Tensor],
    images: Tensor,
    labels: Tensor,
    depth: int,
    bits: int | None = None,
    low: bool = False,
) -> Tensor:
    """Return the cross entropy of a training batch; ``low`` computes convolutions in bfloat16."""
    with torch.autocast(images.device.type, torch.bfloat16) if low else nullcontext():
        logits = forward(params, buffers, images, depth, bits, training=True)
    return F.cross_entropy(logits.to(images.dtype), labels)


# Static shapes: a second depth or bit width must not turn the first into a symbol.
compiled_loss_of = torch.compile(loss_of, dynamic=False)


class Run:
    """State of one run; everything that changes lies on the device, so that steps can be replayed.

    Attributes:
        parameters: weights, statistics.
        mask: flat, 1 where a weight is trained and 0 on the chosen filters.
        history: ``[epochs, 3]``: mean loss, test images right (-1: not tested), choices that changed.
    """

    def __init__(
        self,
        spec: Spec,
        data: Cifar10,
        epochs: int,
        batch: int,
        weights: Path | None = None,
        low: bool = False,
        compiled: bool = False,
    ) -> None:
        self.spec, self.data, self.epochs, self.batch, self.low = spec, data, epochs, batch, low
        device, dtype = data.mean.device, data.mean.dtype
        self.steps = len(data.train_labels) // batch
        self.parameters = Parameters(spec.depth, bool(spec.bits), device, dtype)
        self.parameters.initialise(torch.Generator().manual_seed(spec.seed), spec.alpha)
        if spec.start:
            from safetensors.torch import load_file

            self.parameters.load(load_file((weights or Path()) / f"{spec.start}.safetensors"))
        self.velocity = torch.zeros_like(self.parameters.flat)
        self.mask = torch.ones_like(self.parameters.flat)
        self.rate = torch.zeros((), device=device, dtype=dtype)
        self.step_index = torch.zeros(1, device=device, dtype=torch.int64)
        self.order = torch.zeros(self.steps, batch, device=device, dtype=torch.int64)
        self.shift = torch.zeros(self.steps, batch, 2, device=device, dtype=torch.int64)
        self.flip = torch.zeros(self.steps, batch, device=device, dtype=torch.bool)
        self.loss_sum = torch.zeros((), device=device, dtype=torch.float64)
        self.right = torch.zeros((), device=device, dtype=torch.int64)
        self.history = torch.full((epochs, 3), -1.0, device=device, dtype=torch.float64)
        self.generator = torch.Generator(device).manual_seed(spec.seed)
        self.loss_of = compiled_loss_of if compiled else loss_of
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.changed = torch.zeros((), device=device, dtype=torch.float64)
        self.graphs: dict[str, torch.cuda.CUDAGraph] = {}
        if spec.pruned and spec.schedule == "masked":
            self.prune()  # the authors' program chooses once before training

    def step(self) -> None:
        """Train on the batch that ``step_index`` points at."""
        drawn = (self.order, self.shift, self.flip)
        images, labels = self.data.batch(*(t.index_select(0, self.step_index)[0] for t in drawn))
        spec, params = self.spec, self.parameters.views
        loss = self.loss_of(params, self.parameters.buffers, images, labels, spec.depth, spec.bits, self.low)
        gradient = self.parameters.join(torch.autograd.grad(loss, list(params.values())))
        mask = self.mask if spec.pruned and spec.schedule == "masked" else None
        with torch.no_grad():
            sgd_step(self.parameters.flat, self.velocity, gradient, mask, self.rate)
            self.loss_sum += loss.detach()
            self.step_index += 1

    @torch.no_grad()
    def test(self) -> None:
        """Count the test images that the network as it stands gets right."""
        self.right.zero_()
        spec, params, buffers = self.spec, self.parameters.views, self.parameters.buffers
        for start in range(0, len(self.data.test_labels), TEST_BATCH):
            images, labels = self.data.test_batch(start, TEST_BATCH)
            with torch.autocast(images.device.type, torch.bfloat16) if self.low else nullcontext():
                logits = forward(params, buffers, images, spec.depth, spec.bits)
            self.right += (logits.argmax(dim=1) == labels).sum()

    @torch.no_grad()
    def prune(self) -> None:
        """Choose filters in every convolution, zero them, keep the mask; count the choices that changed."""
        before = self.mask.clone()
        self.changed.zero_()
        old = self.parameters.split(before)
        for name, mask in self.parameters.split(self.mask).items():
            if mask.dim() == 4:
                weight = self.parameters.views[name]
                mask.copy_(filter_mask(weight, self.spec.norm_keep, self.spec.distance))
                self.changed += (mask[:, 0, 0, 0] != old[name][:, 0, 0, 0]).sum() / 2
        self.parameters.flat.mul_(self.mask)

    def do(self, part: str) -> None:
        """Run ``train`` (some steps), ``test`` or ``prune``: its graph if there is one."""
        graph = self.graphs.get(part)
        graph.replay() if graph else {"train": self.step, "test": self.test, "prune": self.prune}[part]()

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of the images and their crops and flips; set the learning rate."""
        device, images, g = self.order.device, len(self.data.train_labels), self.generator
        order = torch.randperm(images, device=device, generator=g)[: self.steps * self.batch]
        self.order.copy_(order.view_as(self.order))
        self.shift.copy_(torch.randint(0, 2 * PAD + 1, self.shift.shape, device=device, generator=g))
        self.flip.copy_(torch.randint(0, 2, self.flip.shape, device=device, generator=g))
        self.rate.fill_(learning_rate(epoch, self.epochs, self.spec.start is not None))
        self.step_index.zero_()
        self.loss_sum.zero_()

    def end_epoch(self, epoch: int, tested: bool) -> None:
        """Prune if the run prunes, test, and note the epoch in the history."""
        self.history[epoch, 0] = self.loss_sum / self.steps
        if self.spec.pruned:
            self.do("prune")
        self.history[epoch, 2] = self.changed
        if tested:
            self.do("test")
            self.history[epoch, 1] = self.right

    def capture(self, steps_per_graph: int) -> None:
        """Record ``steps_per_graph`` steps, the test and the pruning as CUDA graphs; undo their effect."""
        parameters = self.parameters
        state = [parameters.flat, self.velocity, self.mask, self.loss_sum, self.step_index]
        state += parameters.buffers.values()
        saved = [tensor.clone() for tensor in state]
        parts = {"train": steps_per_graph, "test": 1, **({"prune": 1} if self.spec.pruned else {})}
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for part in [*parts, "train", "train"]:
                self.do(part)
        torch.cuda.synchronize()
        graphs = {part: torch.cuda.CUDAGraph() for part in parts}
        for part, times in parts.items():
            with torch.cuda.graph(graphs[part], stream=self.stream):
                for _ in range(times):
                    self.do(part)
        self.graphs = graphs
        with torch.no_grad():
            for tensor, value in zip(state, saved):
                tensor.copy_(value)
        self.changed.zero_()
        torch.cuda.synchronize()
