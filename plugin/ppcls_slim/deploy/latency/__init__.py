"""Latency of layers and of whole networks on the engine that a model is to be deployed on."""
