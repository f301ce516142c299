"""The rules of all supported operations, one file a family; importing this package registers them."""

from . import common, elementwise, layout, norms, padding, sections, slicing, weights  # noqa: F401
