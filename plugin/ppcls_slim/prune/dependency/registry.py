"""Rules: what an operation does to labels. One function a family of operations, registered by the operations' names.

To support another operation, write a function in ``rules/`` that is decorated with :func:`rule`, and an entry in
``graph/op_specs.py`` if it needs attributes or is named differently on Paddle 2.6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...graph.program import Operation, Program
from .code import Site
from .counts import COUNTED, PASSES_ON, count_of_results, returned
from .flow import ContradictionError, Flow

Rule = Callable[[Flow, Operation], None]

RULES: dict[str, Rule] = {}
"""Name of an operation -> its rule. Operations without a rule freeze what they touch."""

FAILURES = (ContradictionError, ValueError, IndexError, KeyError, TypeError, StopIteration)
"""What a rule raises if shapes or attributes of an operation are not those that it was written for."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of these operations.

    Example:
        >>> @rule("relu", "tanh")
        ... def zero_stays_zero(flow, operation):
        ...     flow.propagate(operation.outputs[0], flow.axis(operation.inputs[0]))
    """

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


def unknown(flow: Flow, operation: Operation) -> None:
    """Freeze the inputs of an operation that has no rule."""
    for tensor in operation.inputs:
        flow.freeze(tensor, f"{operation.name} has no rule")


def run(flow: Flow, program: Program, sites: Sequence[Site]) -> None:
    """Apply the rule of every operation of a program, in order.

    Args:
        flow: gets the labels.
        program: the recorded forward pass.
        sites: place in the code of each operation, see :func:`.code.sites_of`.
    """
    for number, (operation, site) in enumerate(zip(program.operations, sites)):
        flow.site, flow.step = site, (id(program), number)
        flow.computed_with.update(tensor.param for tensor in operation.inputs if tensor.param is not None)
        _follow_counts(flow, operation)
        try:
            RULES.get(operation.name, unknown)(flow, operation)
        except FAILURES:
            flow.failed.add(flow.step)
            for tensor in operation.inputs:
                flow.freeze(tensor, f"{operation.name} with sizes that cannot be followed")
        if flow.code.is_stuck(site):
            flow.freeze_all([operation])
    for labels in returned(program, flow.counts):
        flow.labels.freeze(labels, f"{COUNTED} (an output of the model)")
    for operation, site in zip(program.operations, sites):
        if flow.code.is_stuck(site, 1):  # the code of the layer may use the size of any of its tensors
            inside = f"{operation.layer}."
            flow.freeze_all([op for op in program.operations if f"{op.layer}.".startswith(inside)])


def _follow_counts(flow: Flow, operation: Operation) -> None:
    """Follow numbers of channels that the model computes while it runs to where they are used."""
    count = count_of_results(operation, flow.counts)
    if count is None:
        return
    if operation.name in PASSES_ON:
        flow.counts.update(dict.fromkeys(operation.outputs, count))
    else:
        flow.labels.freeze(count.labels, f"{COUNTED} ({operation.name})")
