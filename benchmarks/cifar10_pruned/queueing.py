"""Runs that wait, and runs that share the device."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch._dynamo
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.cifar10_repro.cifar10 import Cifar10, load_arrays

from .distillation import LogitTables
from .layout import in_paddle_names, layout_of, wide_layout
from .network import Network
from .parameters import Parameters
from .recipe import Recipe, read_runs
from .record import curve_of, record_of, write_json
from .run import Run
from .testing import accuracy

AHEAD = 2
"""Epochs of a run that are queued on the device at a time."""


def set_precision(precision: str) -> None:
    """Allow TF32 in convolutions and products unless full float32 is asked for."""
    allowed = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.benchmark = True


def set_recompile_limits() -> None:
    """Let a function be compiled for as many shapes of blocks as there are."""
    for limit in ("recompile_limit", "accumulated_recompile_limit"):
        setattr(torch._dynamo.config, limit, 1024)


@dataclass
class Started:
    """A run that shares the device: epochs that were queued, and the event behind each."""

    run: Run
    began: float
    queued: int = 0
    events: list[torch.cuda.Event] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Epochs that the device has finished."""
        while self.events and self.events[0].query():
            self.events.pop(0)
        return self.queued - len(self.events)

    def queue_epoch(self) -> None:
        """Queue one more on the run's stream; without a stream it is done at once."""
        with torch.cuda.stream(self.run.stream) if self.run.stream else nullcontext():
            self.run.epoch(self.queued)
            if self.run.stream:
                self.events.append(torch.cuda.Event())
                self.events[-1].record()
        self.queued += 1


class Queue:
    """The runs of the file: which is next, and those that share the device now."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.data = Cifar10(load_arrays(options.data), torch.device(options.device), torch.float32)
        self.tables = LogitTables(options.out, self.data)
        self.active: list[Started] = []
        self.started: set[str] = set()
        self.clock = time.perf_counter()
        self.looked = 0.0

    def say(self, *words: object) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.perf_counter() - self.clock:7.1f} s", *words, flush=True)

    def find(self, stem: str) -> Path | None:
        """Return the weights of this stem: results first, then the folder of weights."""
        for folder in (self.options.out, self.options.weights):
            if (folder / f"{stem}.safetensors").exists():
                return folder / f"{stem}.safetensors"
        return None

    def next(self) -> Recipe | None:
        """Return the first run of the file that can start, or None."""
        for recipe in read_runs(self.options.runs):
            needed = [*recipe.teacher, *([recipe.weights] if recipe.weights else [])]
            done = recipe.name in self.started or (self.options.out / f"{recipe.name}.json").exists()
            if not done and all(self.find(stem) for stem in needed):
                return recipe
        return None

    def start(self, recipe: Recipe) -> None:
        """Build a run and record its graphs."""
        self.started.add(recipe.name)
        before = time.perf_counter()
        state = in_paddle_names(load_file(self.find(recipe.weights))) if recipe.weights else None
        layout = layout_of(state) if state else wide_layout(recipe.depth, recipe.width)
        tables = [self.tables.get(name, lambda name=name: self.forward_of(name)) for name in recipe.teacher]
        low, compiled = self.options.precision == "bf16", not self.options.no_compile
        run = Run(recipe, layout, self.data, None if recipe.random else state, tables, low, compiled)
        if run.stream:
            run.capture()
        began = time.perf_counter()
        self.active.append(Started(run, began))
        self.say(recipe.name, f"starts; prepared in {began - before:.1f} s; {layout.macs() / 1e6:.1f} M MACs")

    def work(self) -> None:
        """Train until no run is left, and none came for ``--wait`` seconds."""
        idle_since = spoke = time.perf_counter()
        while True:
            now = time.perf_counter()
            if len(self.active) < self.options.side_by_side and now - self.looked >= 0.5:
                recipe = self.next()
                self.looked = 0.0 if recipe else now
                if recipe:
                    self.start(recipe)
            if self.active:
                idle_since = now
                self.turn()
            elif self.looked and now - idle_since >= self.options.wait:
                return
            else:
                time.sleep(0.1)
            if self.active and now - spoke >= self.options.status_every:
                spoke = now
                self.say(*map(status_of, self.active))

    def turn(self) -> None:
        """Queue an epoch of every run that has few queued, and finish those that are through."""
        busy = True
        for started in list(self.active):
            epochs, done = started.run.recipe.epochs, started.done
            if done == epochs:
                self.finish(started)
            elif started.queued < epochs and started.queued - done < AHEAD:
                started.queue_epoch()
            else:
                continue
            busy = False
        if busy:
            time.sleep(0.002)

    def finish(self, started: Started) -> None:
        """Test the weights to keep in float32 and write what is known about the run."""
        run, seconds = started.run, time.perf_counter() - started.began
        names = [other.run.recipe.name for other in self.active]
        self.active.remove(started)
        state, out = run.state_dict(), self.options.out
        set_precision("fp32")
        top1 = accuracy(state, self.data)
        set_precision(self.options.precision)
        out.mkdir(parents=True, exist_ok=True)
        save_file(state, out / f"{run.recipe.name}.safetensors")
        record = record_of(run, seconds, names, top1, self.options.precision)
        write_json(record, out / f"{run.recipe.name}.json")
        per_epoch = seconds / run.recipe.epochs
        self.say(
            f"{run.recipe.name} ends: last {record['last_top1']:.2f}, final {top1:.2f} in float32, "
            f"{per_epoch:.2f} s an epoch beside {len(names) - 1}"
        )
        run.graphs.clear()
        self.looked = 0.0

    def forward_of(self, name: str) -> Callable[[Tensor], Tensor]:
        """Return the forward pass of a teacher from normalised images."""
        state = in_paddle_names(load_file(self.find(name)))
        layout, low = layout_of(state), self.options.precision == "bf16"
        device, dtype = self.data.mean.device, self.data.mean.dtype
        parameters = Parameters(layout, 8, device, dtype, low)
        parameters.load(state)
        compiled = not self.options.no_compile
        network = Network.of(layout, 8, device, torch.bfloat16 if low else dtype, compiled)
        views = {key: view.detach() for key, view in parameters.leaves.items()}

        def forward(images: Tensor) -> Tensor:
            return network.forward(views, parameters.stats, parameters.widened(images), False)

        return forward


def status_of(started: Started) -> str:
    """Return name, epochs done and the last tests of a run."""
    curve, done = curve_of(started.run), started.done
    columns = [column[:done] for name, column in curve.items() if name != "loss"]
    tests = ["/".join(f"{column[i]:.2f}" for column in columns) for i in range(done) if columns[0][i] is not None]
    loss = f" loss {curve['loss'][done - 1]:.3f}" if done else ""
    return f"| {started.run.recipe.name} {done}/{started.run.recipe.epochs}{loss} {' '.join(tests[-1:])}"
