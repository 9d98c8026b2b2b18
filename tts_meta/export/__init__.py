"""A voice as files for onnxruntime: graphs without torch, and what they are fed with."""
