#!/usr/bin/env bash
# The same recipe for one datacentre GPU with a dozen CPU cores beside it. Needs Python >= 3.11 with torch, numpy and
# safetensors, nothing else. Each stage fits ten minutes and goes on where it stopped when called again:
#     runs/gpu.sh bank | tokenizer | measurer | generator | export
# Not run yet: its times are the schedule's, its results unknown.
set -euo pipefail
export PYTHONPATH=src OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
run=${RUN:-runs/out}
echopulse="python3 -m echopulse.cli"
resume() { [ -f "$1/checkpoint.safetensors" ] || [ -d "$1/ecg" ] && echo "--resume $1" || echo "--run $1"; }

case "${1:?bank, tokenizer, measurer, generator or export}" in
bank) # twelve processes with seeds of their own; training may start after a minute
    for seed in $(seq 1 12); do
        setsid $echopulse simulate --bank "$run/bank" --clips "${CLIPS:-1600}" --seed "$seed" --prior uniform --view a4c,a2c \
            > "$run-bank-$seed.log" 2>&1 &
    done
    sleep "${WAIT:-60}" ;;
tokenizer)
    OMP_NUM_THREADS=3 $echopulse train tokenizer --data "$run/bank" $(resume "$run/tokenizer") --device cuda \
        --batch 48 --minutes 8 --steps 1000000 --learning-rate 1e-3 --out "$run/model" ;;
measurer)
    OMP_NUM_THREADS=3 $echopulse train measurer --data "$run/bank" $(resume "$run/measurer") --device cuda \
        --batch 96 --minutes 2 --steps 1000000 --out "$run/model" ;;
generator)
    OMP_NUM_THREADS=3 $echopulse train generator --data "$run/bank" $(resume "$run/generator") --device cuda \
        --batch 96 --minutes 9 --steps 1000000 --learning-rate 1e-3 --tokenizer "$run/model" --out "$run/model" ;;
export) # parts that any channel takes: join them again with cat
    mkdir -p "${OUT:?}"
    cp "$run/model/config.json" "$OUT/"
    for name in tokenizer measurer generator; do
        split -b 15M "$run/model/$name.safetensors" "$OUT/$name.part-"
    done ;;
esac
