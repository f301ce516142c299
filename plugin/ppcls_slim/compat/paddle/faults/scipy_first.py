"""SciPy's shared objects have to be loaded before Paddle's: both bring symbols of zlib.

Symptom: ``zlib.error: inconsistent stream state`` or a segmentation fault where SciPy is imported after Paddle.
Versions: Paddle 2.6.2 with recent SciPy wheels; not 3.x.
Delete when: Paddle 2.6 is not supported any more.
"""

from __future__ import annotations


def patch() -> None:
    """Import SciPy; call this before Paddle is imported."""
    import scipy.stats  # noqa: F401  (the import is the patch)
