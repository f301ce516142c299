"""Which channels of a model have to be removed together, found from the program that the model runs."""

from .find_groups import analyse

__all__ = ["analyse"]
