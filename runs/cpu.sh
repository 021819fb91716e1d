#!/usr/bin/env bash
# The recipe of the bundled weights on two CPU cores with bfloat16 products. Times and results: docs/log.md.
# Run from the repository's root after `make demo`; killed at any moment, run it again: it goes on where it stood.
set -euo pipefail
export OMP_NUM_THREADS=2
run=${1:-runs/out}
echopulse=.venv/bin/echopulse
resume() { [ -f "$1/checkpoint.safetensors" ] || [ -d "$1/ecg" ] && echo "--resume $1" || echo "--run $1"; }

# 1,344 clips of 65 frames: 6 to 15 s a shard of 32 on one core. Training may start after the first ten shards.
$echopulse simulate --bank "$run/bank" --clips 1344 --seed 0 --prior uniform --view a4c,a2c

$echopulse train tokenizer --data "$run/bank" $(resume "$run/tokenizer") --minutes 28 --steps 100000 --out "$run/model"
# Clips of its own: 4,096 of 16 frames with what every pixel shows, and 160 held out. One core learned as much in 100 minutes.
$echopulse train measurer --clips 4096 $(resume "$run/measurer") --minutes 60 --steps 100000 --out "$run/model"
# Its ECG encoder first (500 steps), then tokens of all clips, then 42 minutes of the whole.
$echopulse train generator --data "$run/bank" $(resume "$run/generator") --minutes 42 --steps 100000 \
    --tokenizer "$run/model" --out "$run/model"
$echopulse evaluate --model "$run/model" --markdown "$run/evaluation.md" --json "$run/evaluation.json" --force
