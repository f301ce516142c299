"""Everything that knows another package's version, changes it or uses its private names.

- ``paddle``, ``paddleclas``, ``paddleslim``: import these packages from here. The folder ``faults/`` of each has one
  file per fault of a release, with the versions that have it and when the file can be deleted.
- ``onednn``: one file per fault of oneDNN in Paddle Inference, and the order in which they are applied.
- ``layers``, ``qat_layers``: read and change what Paddle keeps in private attributes of its layers.
- ``tracing``: record a forward pass as a program, in PIR and in legacy IR.
- ``legacy_program``, ``legacy_ops``, ``qat_export``, ``exported_layers``, ``exported_parts``: programs in legacy IR,
  as which int8 models are exported.
- ``paddle_inference``, ``quiet_passes``: the configuration of Paddle Inference.
- ``onnx_conversion``, ``onnx_server``: ``paddle2onnx``, in a process of its own.
- ``unpickling``, ``paddle/saved_files``: files of ``paddle.save``, loaded without running anything in them.
- ``startup_noise``, ``deferred``: what Paddle writes and what PaddleClas imports without need.
- ``versions``, ``installed``: versions of packages that are not imported.
- ``reparameterization``, ``distributed``, ``patching``: blocks with branches, processes, and changes for a while.

``tests/compat/test_boundary.py`` holds that no other folder does any of this.
"""
