"""The program that a model runs as data, whichever version of Paddle recorded it, and a model's tensors by name."""
