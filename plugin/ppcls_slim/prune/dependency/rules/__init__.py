"""What each family of operations does to labels: importing this registers the rules."""

from . import elementwise, layout, norms, slicing, weights  # noqa: F401  registers
