"""Training runs packed into one network: their state on the device, a step, and the CUDA graphs that repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.cifar10_repro.cifar10 import PAD, Cifar10

from .distillation import compiled_loss_of, looked_up, loss_of
from .layout import layout_of
from .network import network_of
from .packing import mask_of, merged, part_of
from .parameters import Parameters
from .recipe import Recipe
from .testing import count_right


def steps_of(steps: int, in_graphs: bool) -> tuple[int, int]:
    """Return how many steps one graph holds, and the largest multiple of it that an epoch has (97 -> 12, 96)."""
    if not in_graphs:
        return 1, steps
    return max(((k, steps // k * k) for k in range(8, 16)), key=lambda pair: pair[::-1])


class Run:
    """State of runs of one recipe; everything that changes lies on the device, so that steps can be replayed.

    Args:
        recipes: equal but for name, seed and weights; one is the usual case.
        data: images on the device.
        states: the weights that each starts with, named and shaped as in Paddle.
        tables: logits of the teachers.
        low: convolutions in bfloat16.
        compiled: blocks by ``torch.compile``.

    Attributes:
        parameters: weights, statistics.
        average: the moving average of the weights, and ``average_statistics`` of the statistics.
        mask: ones where ``parameters.flat`` holds a weight of a run, zeros between runs and in padding.
        history: ``[epochs, 3, runs]``: mean loss, test images that the weights get right and that their average gets
            right; -1 where it was not tested.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        data: Cifar10,
        states: Sequence[Mapping[str, Tensor]],
        tables: list[Tensor],
        low: bool,
        compiled: bool,
    ) -> None:
        self.recipes, self.data, self.states, self.tables, self.low = list(recipes), data, list(states), tables, low
        self.recipe = recipe = recipes[0]
        device, dtype, runs = data.mean.device, data.mean.dtype, len(recipes)
        layout = layout_of(merged(states))
        self.parameters = Parameters(layout, recipe.pad, device, dtype, low)
        self.parameters.load(mask_of(states))
        self.mask = self.parameters.flat.clone()
        self.parameters.load(merged(states))
        self.network = network_of(layout, recipe.pad, device, torch.bfloat16 if low else dtype, compiled)
        self.tester = replace(self.network, compiled=False)  # compiling takes longer than all tests
        self.loss_of = compiled_loss_of if compiled else loss_of
        self.average = self.parameters.flat.clone()
        self.average_low = None if self.parameters.low is None else self.parameters.low.clone()
        self.average_statistics = self.parameters.statistics.clone()
        self.velocity = torch.zeros_like(self.parameters.flat)
        self.steps_per_graph, self.steps = steps_of(len(data.train_labels) // recipe.batch, device.type == "cuda")
        self.rates = torch.tensor(recipe.rates(self.steps), device=device, dtype=dtype)
        self.decays = torch.tensor(recipe.ema_decays(self.steps), device=device, dtype=dtype)
        self.global_step = torch.zeros(1, device=device, dtype=torch.int64)
        self.step_index = torch.zeros(1, device=device, dtype=torch.int64)
        drawn = (self.steps, runs, recipe.batch)
        self.order = torch.zeros(drawn, device=device, dtype=torch.int64)
        self.shift = torch.zeros((*drawn, 2), device=device, dtype=torch.int64)
        self.flip = torch.zeros(drawn, device=device, dtype=torch.bool)
        self.loss_sum = torch.zeros(runs, device=device, dtype=torch.float64)
        self.right = torch.zeros(2, runs, device=device, dtype=torch.int64)
        self.history = torch.full((recipe.epochs, 3, runs), -1.0, device=device, dtype=torch.float64)
        self.generators = [torch.Generator(device).manual_seed(r.seed) for r in recipes]
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.graphs: dict[str, torch.cuda.CUDAGraph] = {}

    @property
    def name(self) -> str:
        """Names of the runs."""
        return " + ".join(recipe.name for recipe in self.recipes)

    def loss_and_gradients(self, images: Tensor, labels: Tensor, teachers: Tensor | None) -> Tensor:
        """Write the gradients of a batch into the flat vector and return the loss of each run.

        Args:
            images: ``[n, runs * 3, 32, 32]``.
            labels: ``[runs, n]``.
            teachers: ``[runs, n, teachers, 10]`` or None.
        """
        parameters, recipe = self.parameters, self.recipe
        logits = self.network.forward(parameters.leaves, parameters.stats, parameters.widened(images), True)
        logits = logits.view(len(logits), len(labels), -1).transpose(0, 1)
        loss = self.loss_of(logits, labels, teachers, recipe.smoothing, recipe.distill_weight, recipe.temperature)
        gradients = list(torch.autograd.grad(loss.sum(), list(parameters.leaves.values())))
        n = parameters.convolutions  # of one data type each: a kernel or two for hundreds of tensors
        torch._foreach_copy_(parameters.gradients[:n], gradients[:n])
        torch._foreach_copy_(parameters.gradients[n:], gradients[n:])
        parameters.gradient.mul_(self.mask)
        return loss.detach()

    def batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what :meth:`loss_and_gradients` takes, of the step that ``step_index`` points at."""
        drawn = [t.index_select(0, self.step_index)[0] for t in (self.order, self.shift, self.flip)]
        runs, n = drawn[0].shape
        images, labels = self.data.batch(*(t.flatten(0, 1) for t in drawn))
        images = images.view(runs, n, *images.shape[1:]).transpose(0, 1).flatten(1, 2)
        teachers = looked_up(self.tables, *(t.flatten(0, 1) for t in drawn))
        return images, labels.view(runs, n), None if teachers is None else teachers.view(runs, n, *teachers.shape[1:])

    def step(self) -> None:
        """Train on the batch that ``step_index`` points at."""
        loss = self.loss_and_gradients(*self.batch())
        with torch.no_grad():
            self._update()
            self.loss_sum += loss
            self.step_index += 1
            self.global_step += 1

    def _update(self) -> None:
        """Nesterov's SGD on the flat vector, then the moving averages."""
        parameters, recipe = self.parameters, self.recipe
        gradient, flat = parameters.gradient, parameters.flat
        end = len(flat) if recipe.decay_bn else parameters.decayed
        gradient[:end].add_(flat[:end], alpha=recipe.weight_decay)
        self.velocity.mul_(recipe.momentum).add_(gradient)
        flat.sub_(self.rates[self.global_step] * gradient.add(self.velocity, alpha=recipe.momentum))
        parameters.refresh()
        if recipe.ema:
            share = 1 - self.decays[self.global_step]
            self.average.lerp_(flat, share)
            self.average_statistics.lerp_(parameters.statistics, share)

    @torch.no_grad()
    def test(self) -> None:
        """Count the test images that the weights, and their average, get right."""
        parameters = self.parameters
        self.right.zero_()
        self.right[0] += count_right(self.tester, parameters, parameters.leaves, parameters.stats, self.data)
        if self.recipe.ema:
            self.right[1] += count_right(self.tester, parameters, *self.averaged(), self.data)

    def averaged(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return parameters and statistics of the moving average; the bfloat16 copy is brought up to date."""
        if self.average_low is not None:
            self.average_low.copy_(self.average[: len(self.average_low)])
        views = self.parameters.views(self.average, self.average_low if self.low else None)
        return views, self.parameters.stat_views(self.average_statistics)

    def do(self, part: str) -> None:
        """Run ``train`` (some steps) or ``test``: its graph if there is one."""
        graph = self.graphs.get(part)
        graph.replay() if graph else {"train": self.step, "test": self.test}[part]()

    def begin_epoch(self) -> None:
        """Draw the order of the images and their crops and flips, for each run by its own seed."""
        device, images = self.order.device, len(self.data.train_labels)
        for run, g in enumerate(self.generators):
            order, shift, flip = self.order[:, run], self.shift[:, run], self.flip[:, run]
            order.copy_(torch.randperm(images, device=device, generator=g)[: order.numel()].view(order.shape))
            shift.copy_(torch.randint(0, 2 * PAD + 1, shift.shape, device=device, generator=g))
            flip.copy_(torch.randint(0, 2, flip.shape, device=device, generator=g))
        self.step_index.zero_()
        self.loss_sum.zero_()

    def epoch(self, number: int) -> None:
        """Queue one epoch, with its test if it is due."""
        self.begin_epoch()
        for _ in range(self.steps // self.steps_per_graph):
            self.do("train")
        self.history[number, 0] = self.loss_sum / self.steps
        if self.recipe.tests_after(number + 1):
            self.do("test")
            self.history[number, 1:] = self.right

    def state_dict(self, index: int = 0) -> dict[str, Tensor]:
        """Return a run's weights to keep, those of the moving average if there is one; see :class:`.Parameters`."""
        of = self.parameters
        vectors = (self.average, self.average_statistics) if self.recipe.ema else (of.flat, of.statistics)
        return part_of(of.state_dict(*vectors), self.states, index)

    def capture(self) -> None:
        """Record ``steps_per_graph`` steps and the test as CUDA graphs; undo their effect."""
        p = self.parameters
        state = [p.flat, p.statistics, self.velocity, self.average, self.average_statistics]
        state += [self.loss_sum, self.step_index, self.global_step]
        saved = [tensor.clone() for tensor in state]
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for part in ("train", "train", "test"):
                self.do(part)
        torch.cuda.synchronize()
        graphs = {part: torch.cuda.CUDAGraph() for part in ("train", "test")}
        for part, graph in graphs.items():
            with torch.cuda.graph(graph, stream=self.stream):
                for _ in range(self.steps_per_graph if part == "train" else 1):
                    self.do(part)
        self.graphs = graphs
        with torch.no_grad():
            for tensor, value in zip(state, saved):
                tensor.copy_(value)
        p.refresh()
        torch.cuda.synchronize()
