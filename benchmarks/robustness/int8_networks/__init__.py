"""Small networks in every way that Paddle Inference runs their exported files, against the trained model."""

from .search import Finding, campaign, findings

__all__ = ["Finding", "campaign", "findings"]
