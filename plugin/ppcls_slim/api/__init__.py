"""The functions of ``import ppcls_slim``: a file each. PaddleClas is needed where a section ``Arch`` is built."""
