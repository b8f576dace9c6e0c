"""From a run to files that others use: ONNX, a `torch.export` program, weights alone, or plain PyTorch source.

What is written answers as the run does, which is proved on rows of the user's own before it gets its name.
"""
