"""OpenVINO IR: written from the ONNX graph, and run on CPUs."""
