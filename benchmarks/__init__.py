"""Instruments of the developers: what only they and regression runs use."""
