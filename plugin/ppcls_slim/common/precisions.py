"""What an export can be run in."""

PRECISIONS = ("fp32", "int8", "bf16", "fp16", "int8+bf16")
EVERY = ("auto", "all", *PRECISIONS)
"""What a benchmark can be asked for."""
