"""Declarative compression for PaddleClas: a ``Slim`` section in the YAML that already trains the model."""

from .common.backbones import register_backbone

__version__ = "0.1.0"
__all__ = ["__version__", "register_backbone"]
