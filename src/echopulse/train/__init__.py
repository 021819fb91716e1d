"""One loop and a recipe per model. Needs torch, numpy and safetensors only."""

from echopulse.train.loop import Diverged, Run, Settings

__all__ = ["Diverged", "Run", "Settings"]
