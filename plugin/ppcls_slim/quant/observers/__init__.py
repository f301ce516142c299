"""Observers: the name of a file is the name in ``Slim.quant.observer``, ``OBSERVER`` is the observer.

To add one, write one file here, see :mod:`ppcls_slim.quant.observer`. From outside the project, publish an entry
point of the group ``ppcls_slim.observers``, see :mod:`ppcls_slim.common.registry`.
"""
