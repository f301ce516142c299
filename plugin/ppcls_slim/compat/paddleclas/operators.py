"""PaddleClas's image operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...common.errors import SlimError
from .faults import evaluated_text
from .find import find_ppcls


def make_operators(operators: Sequence[dict[str, Any]], where: str) -> list[Any]:
    """Make the operators of a ``transform_ops`` list; nothing in it is executed.

    Args:
        operators: mappings of one key, the operator, to its arguments.
        where: key of the list, for messages.

    Raises:
        SlimError: there is no such operator, or it does not take the arguments.
    """
    find_ppcls()
    from ppcls.data import create_operators  # after find_ppcls

    evaluated_text.patch()
    made = []
    for i, operator in enumerate(operators):
        try:
            made += create_operators([operator])
        except SlimError as error:
            raise SlimError(f"{where}.{i}: {error}") from None
        except Exception as error:  # whatever an operator raises on arguments from a file
            raise SlimError(f"{where}.{i} ({next(iter(operator))}): {error}") from error
    return made
