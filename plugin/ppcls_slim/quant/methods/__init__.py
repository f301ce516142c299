"""Quantization methods: the name of a file is the name in ``Slim.quant.name``, ``QUANTIZER`` is the method.

To add one, write one file here, and a class for its options in ``config/quant.py`` if it has any. From outside the
project, publish an entry point of the group ``ppcls_slim.quantizers``, see :mod:`ppcls_slim.common.registry`.
"""
