"""Backbones that ``Arch.name`` accepts through the plugin."""
