"""Models as ONNX files: written from a pack or checkpoint, and run by onnxruntime instead of torch."""
