"""Every backbone of PaddleClas, pruned and quantized: the matrix behind ``docs/coverage.md``."""
