"""How long, how fast and in what batches each network learns by default."""

from echopulse.train.loop import Settings

SETTINGS = {
    "tokenizer": Settings(steps=3000, learning_rate=8e-4, ema=0.997),
    "ecg": Settings(steps=500, learning_rate=1e-3, ema=0.99, evaluate_every=250),
    "ecg-encoder": Settings(steps=2000, learning_rate=1e-3, ema=0.995),
    "generator": Settings(steps=3000, learning_rate=8e-4, weight_decay=0.05, ema=0.998),
    "measurer": Settings(steps=2000, learning_rate=2e-3, ema=0.995),
    "volumes": Settings(steps=4000, learning_rate=1e-3, weight_decay=0.05, ema=0.995, evaluate_every=250),
    "steering": Settings(steps=3000, learning_rate=1e-3, weight_decay=0.05, ema=0.995, evaluate_every=500),
}
BATCH = {"tokenizer": 6, "ecg": 32, "ecg-encoder": 32, "generator": 12, "measurer": 8, "volumes": 32, "steering": 64}
