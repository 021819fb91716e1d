"""Weights to begin with instead of chance."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from echopulse.errors import InputError
from echopulse.measure.segmenter import Segmenter, load_segmenter
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.generator import Generator
from echopulse.model.networks import load_ecg_encoder
from echopulse.model.tokenizer import Tokenizer
from echopulse.train.ecg_alone import EcgLearner
from echopulse.train.volume_curve import without_curve_head


def begin_with(model: nn.Module, folder: Path, what: str) -> None:
    """Gives the model the weights that `folder` holds; a tokenizer may come from one without grain or motion, a
    generator from one that knows neither age nor sex.

    What that one did not know begins by chance. A measurer learns its curve of volumes anew. An ECG encoder may come
    from a generator.
    """
    if isinstance(model, EcgLearner):
        model.encoder.load_state_dict(load_ecg_encoder(folder, model.encoder.config).state_dict())
        return
    held = load_config(folder).get(what, {})
    if isinstance(model, Segmenter) and held.get("sequence"):
        kept = without_curve_head(load_segmenter(folder))
        if kept.config != model.config:
            raise InputError(f"{folder}: a measurer of another architecture than this recipe's ({kept.config}).")
        model.load_state_dict(kept.state_dict())
        return
    if isinstance(model, Generator) and model.config.patient and not held.get("patient"):
        known = load_weights(Generator(replace(model.config, patient=False)), folder / what).state_dict()
        model.load_state_dict(model.state_dict() | known)
        return
    grain, decoder = bool(held.get("grain")), held.get("decoder", "plain")
    if not isinstance(model, Tokenizer) or (grain, decoder) == (model.config.grain, model.config.decoder):
        load_weights(model, folder / what)
        return
    less = replace(
        model.config,
        grain=model.config.grain and grain,
        decoder=decoder if model.config.decoder == "motion" else model.config.decoder,
    )
    known, own = load_weights(Tokenizer(less), folder / what).state_dict(), model.state_dict()
    model.load_state_dict(own | {name: value for name, value in known.items() if name in own})
