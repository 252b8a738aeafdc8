"""The name under which programs for PyTorch inference frameworks look for theirs: `from framework import TorchInferenceFramework`."""

from sonant.framework import TorchInferenceFramework

__all__ = ["TorchInferenceFramework"]
