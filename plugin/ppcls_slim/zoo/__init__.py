"""Backbones and data sets of our own; :mod:`.registration` makes their names known to PaddleClas."""
