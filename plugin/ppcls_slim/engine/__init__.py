"""PaddleClas's engine with compression in it."""
