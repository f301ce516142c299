"""PaddleClas: where it is, and what its releases need."""
