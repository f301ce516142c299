"""Declarative compression for PaddleClas: a ``Slim`` section in the YAML that already trains the model."""

__version__ = "0.1.0"
