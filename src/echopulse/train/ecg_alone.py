"""The ECG encoder by itself: what the heart does where a bank says it, hidden stretches where there are only ECGs."""

import torch
from torch import Tensor, nn

from echopulse.data.bank import Bank
from echopulse.data.recordings import Recordings
from echopulse.model.config import GeneratorConfig
from echopulse.model.ecg_encoder import EcgEncoder
from echopulse.model.signal_decoder import SignalDecoder
from echopulse.train.ecg_encoder import EcgTask
from echopulse.train.masked_ecg import MaskedEcg


class EcgLearner(nn.Module):
    """An ECG encoder and, where signals are to be told, what tells them and is dropped in the end."""

    def __init__(self, encoder: EcgEncoder, decoder: SignalDecoder | None):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class EcgEncoderTask:
    """What the heart does (`EcgTask`), hidden stretches (`MaskedEcg`), or both at once.

    `simulated` are banks to learn from and to be judged by, `recorded` recordings likewise; None for what there is not.
    """

    name = "ecg-encoder"

    def __init__(
        self,
        config: GeneratorConfig,
        simulated: tuple[Bank, Bank] | None,
        recorded: tuple[Recordings, Recordings] | None,
        *,
        batch: int = 32,
        device: str = "cpu",
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        encoder = EcgEncoder(config.ecg)
        self.model = EcgLearner(encoder, SignalDecoder(config.ecg) if recorded else None).to(device)
        shared = {"batch": batch, "device": device}
        self.heart = EcgTask(config, *simulated, noisy=True, seed=seed, **shared) if simulated else None
        if self.heart:
            self.heart.model = encoder
        self.hidden = MaskedEcg(config, *recorded, **shared) if recorded else None

    def on_progress(self, progress: float, step: int) -> None:
        """Nothing changes on the way."""

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        losses = {}
        if self.heart:
            losses["heart"] = self.heart.loss(seed)[0]
        if self.hidden:
            draw = torch.Generator().manual_seed(seed)
            losses["hidden"] = self.hidden.loss(self.model.encoder, self.model.decoder, draw)
        return sum(losses.values()), {name: float(loss.detach()) for name, loss in losses.items()}

    def evaluate(self, model: EcgLearner) -> dict[str, float]:
        scores = self.heart.evaluate(model.encoder) if self.heart else {}
        return scores | (self.hidden.evaluate(model.encoder, model.decoder) if self.hidden else {})

    def pictures(self, model: EcgLearner) -> None:
        """There is nothing to see."""
