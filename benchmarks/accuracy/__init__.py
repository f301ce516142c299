"""Accuracy held against published figures."""
