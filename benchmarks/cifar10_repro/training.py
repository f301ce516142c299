"""One training run: its state, one step of it, and the CUDA graph that repeats the step."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from algorithms import filter_mask, sgd_step
from cifar10 import PAD, Cifar10
from models import Parameters, forward, is_step
from rows import Spec
from torch import Tensor

TEST_BATCH = 1000


@dataclass(frozen=True)
class Recipe:
    """What beside the method decides about the accuracy.

    Attributes:
        milestones: epochs of 200 at which the learning rate drops; None: half a cosine to 0.
        factor: of a drop.
        slow_start: whether the first epoch has a tenth of the rate.
        weight_decay: of every parameter, but for the steps of LSQ, which have none.
    """

    milestones: tuple[int, ...] | None
    factor: float = 1.0
    slow_start: bool = False
    weight_decay: float = 5e-4


RECIPES = {
    "fpgm": Recipe((60, 120, 160), 0.2, slow_start=True),  # the authors' scripts
    "pact": Recipe((60, 120), 0.1, weight_decay=2e-4),  # appendix of the paper, as remembered
    "cosine": Recipe(None, weight_decay=1e-4),  # LSQ, section 2.3
}


def learning_rate(epoch: int, epochs: int, tuned: bool, recipe: str = "fpgm") -> float:
    """Return the rate of a recipe; ``fpgm``: 0.01 for one epoch, then 0.1, times 0.2 at 60, 120, 160.

    A run from trained weights has a tenth of it. Other lengths than 200 epochs scale the milestones.
    """
    chosen, rate = RECIPES[recipe], 0.1 * (0.1 if tuned else 1.0)
    if chosen.milestones is None:
        return rate * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    drops = sum(epoch * 200 >= milestone * epochs for milestone in chosen.milestones)
    return rate * (0.1 if epoch == 0 and chosen.slow_start else chosen.factor**drops)


def loss_of(
    params: dict[str, Tensor],
    buffers: dict[str, Tensor],
    images: Tensor,
    labels: Tensor,
    depth: int,
    bits: int | None = None,
    low: bool = False,
    float_shortcuts: bool = False,
) -> Tensor:
    """Return the cross entropy of a training batch; ``low`` computes convolutions in bfloat16."""
    with torch.autocast(images.device.type, torch.bfloat16) if low else nullcontext():
        logits = forward(params, buffers, images, depth, bits, training=True, float_shortcuts=float_shortcuts)
    return F.cross_entropy(logits.to(images.dtype), labels)


# Static shapes: a second depth or bit width must not turn the first into a symbol.
compiled_loss_of = torch.compile(loss_of, dynamic=False)


def decay_of(parameters: Parameters, weight_decay: float) -> float | Tensor:
    """Return the weight decay, or where there are steps of LSQ a vector that spares them."""
    if not any(is_step(name) for name in parameters.shapes):
        return weight_decay
    vector = torch.full_like(parameters.flat, weight_decay)
    for name, view in parameters.split(vector).items():
        if is_step(name):
            view.zero_()
    return vector


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
        learned_steps = spec.method == "lsq"
        self.parameters = Parameters(spec.depth, bool(spec.bits), device, dtype, learned_steps)
        self.parameters.initialise(torch.Generator().manual_seed(spec.seed), spec.alpha)
        if spec.start:
            from safetensors.torch import load_file

            state = load_file((weights or Path()) / f"{spec.start}.safetensors")
            self.parameters.load(state, of_float=bool(spec.bits))
        if spec.bits and learned_steps:
            self.begin_steps()
        self.decay = decay_of(self.parameters, RECIPES[spec.recipe].weight_decay)
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

    @torch.no_grad()
    def begin_steps(self) -> None:
        """Set LSQ's first steps from the weights and from the first training images as they are."""
        count, device = min(256, len(self.data.train_labels)), self.data.mean.device
        shift = torch.full((count, 2), PAD, device=device)
        no_flip = torch.zeros(count, device=device, dtype=torch.bool)
        images, _ = self.data.batch(torch.arange(count, device=device), shift, no_flip)
        buffers = {name: value.clone() for name, value in self.parameters.buffers.items()}
        magnitudes: list[Tensor] = []
        views = self.parameters.views
        forward(views, buffers, images, self.spec.depth, training=True, magnitudes=magnitudes)
        self.parameters.begin_steps(torch.stack(magnitudes[:-1]), self.spec.bits)

    def step(self) -> None:
        """Train on the batch that ``step_index`` points at."""
        drawn = (self.order, self.shift, self.flip)
        images, labels = self.data.batch(*(t.index_select(0, self.step_index)[0] for t in drawn))
        spec, params = self.spec, self.parameters.views
        options = (spec.depth, spec.bits, self.low, spec.float_shortcuts)
        loss = self.loss_of(params, self.parameters.buffers, images, labels, *options)
        gradient = self.parameters.join(torch.autograd.grad(loss, list(params.values())))
        mask = self.mask if spec.pruned and spec.schedule == "masked" else None
        with torch.no_grad():
            sgd_step(self.parameters.flat, self.velocity, gradient, mask, self.rate, weight_decay=self.decay)
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
                logits = forward(params, buffers, images, spec.depth, spec.bits, float_shortcuts=spec.float_shortcuts)
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
        tuned = self.spec.start is not None
        self.rate.fill_(learning_rate(epoch, self.epochs, tuned, self.spec.recipe))
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
