"""Whether generated clips are copies of training clips: a filter that refuses them, and how near they are.

What this does not guarantee stands in docs/privacy.md.
"""

from echopulse.evaluate.privacy.filter import CopyFilter, Judgement, reject_copies
from echopulse.evaluate.privacy.scores import FIGURES, privacy_scores

__all__ = ["CopyFilter", "FIGURES", "Judgement", "privacy_scores", "reject_copies"]
