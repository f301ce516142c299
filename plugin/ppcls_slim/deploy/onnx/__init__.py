"""ONNX files: the float graph, and Q/DQ nodes where an engine wants them."""
