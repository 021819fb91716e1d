#!/usr/bin/env bash
# The recipe of the bundled weights on two CPU cores with bfloat16 products. Its schedule is over four and a half hours
# of training; docs/log.md says how the bundled weights came about in several goes and what each gave. In one go, as here, it
# has not been carried out.
# Run from the repository's root after `make demo`; killed at any moment, run it again: it goes on where it stood.
set -euo pipefail
export OMP_NUM_THREADS=2
run=${1:-runs/out}
echopulse=.venv/bin/echopulse
views=a4c,a2c,a3c,plax,psax_mitral,psax_papillary,psax_apical
resume() { [ -f "$1/checkpoint.safetensors" ] || [ -d "$1/ecg" ] && echo "--resume $1" || echo "--run $1"; }

# What the tokenizer learns from, with the motion of the tissue: 35 s a shard of 32 clips of 65 frames on one core.
$echopulse simulate --bank "$run/seen" --clips 640 --seed 101 --prior clinical --views $views --displacement
$echopulse simulate --bank "$run/seen" --clips 384 --seed 100 --prior uniform --view a4c,a2c --displacement
# What the generator learns from: 14 s a shard on one core. Usual hearts, hearts whose EF shows in nothing else, standing ones.
$echopulse simulate --bank "$run/beating" --clips 2048 --seed 200 --prior uniform --view a4c,a2c
$echopulse simulate --bank "$run/beating" --clips 768 --seed 320 --prior independent --view a4c,a2c
$echopulse simulate --bank "$run/beating" --clips 96 --seed 310 --prior uniform --view a4c,a2c --set rhythm=asystole
# The same at other frame rates, a fifth of all, 65 pictures each: their lengths in seconds differ.
rates=(16 20 33.333333 50) lengths=(4.0625 3.25 1.95 1.3) others=()
for i in "${!rates[@]}"; do
    others+=(--data "$run/beating-${rates[i]%.*}")
    $echopulse simulate --bank "$run/beating-${rates[i]%.*}" --clips 160 --seed $((210 + i)) --prior uniform \
        --view a4c,a2c --fps "${rates[i]}" --seconds "${lengths[i]}"
done

$echopulse train tokenizer --grain --data "$run/seen" $(resume "$run/tokenizer") --minutes 60 --steps 100000 \
    --out "$run/model"
# The decoder alone goes on, held more to the square of the error: tokens stay, so it may learn beside the generator.
from=$([ -f "$run/decoder/checkpoint.safetensors" ] || echo "--from $run/model")
$echopulse train tokenizer --grain --keep-tokens $from --data "$run/seen" $(resume "$run/decoder") --minutes 65 \
    --steps 100000 --learning-rate 6e-4 --loss l1=0.25 --loss mse=10 --loss moving=3 --out "$run/model"
# Clips of its own: 4,096 of 16 frames with what every pixel shows, and 160 held out.
$echopulse train measurer --clips 4096 $(resume "$run/measurer") --minutes 90 --steps 100000 --out "$run/model"
# Its ECG encoder first (500 steps), then tokens of all clips (kept in the run), then an hour of the whole.
$echopulse train generator --data "$run/beating" "${others[@]}" $(resume "$run/generator") --minutes 60 --steps 100000 \
    --guidance 3 --tokenizer "$run/model" --out "$run/model"
# What an EF is to be expected, and what came of it: minutes, once the pictures have been looked at. Usual hearts beside the others.
$echopulse simulate --bank "$run/beating" --clips 2048 --seed 331 --prior clinical --view a4c,a2c
$echopulse train steering --data "$run/beating" $(resume "$run/steering") --from "$run/model" --out "$run/model"
$echopulse evaluate --model "$run/model" --markdown "$run/evaluation.md" --json "$run/evaluation.json" --force
