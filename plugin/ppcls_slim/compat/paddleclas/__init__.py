"""PaddleClas: where it is (``find``), and its engine, configuration and registries with what its releases need.

``faults/`` has one file per fault of a release.
"""
