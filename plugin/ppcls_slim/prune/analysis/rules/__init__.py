"""What each family of operations does to labels: importing this registers the rules."""

from . import cutting, elementwise, moving, norms, weights  # noqa: F401
