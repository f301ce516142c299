"""A model's program as data: recorded, and read from both program formats."""
