#!/usr/bin/env bash
# The same recipe for one datacentre GPU with a dozen CPU cores beside it. Needs Python >= 3.11 with torch, numpy and
# safetensors, nothing else. Each stage fits ten minutes and goes on where it stopped when called again:
#     runs/gpu.sh phantom | bank | tokenizer | decoder | measurer | generator | steering | export
# Not run yet: its times are the schedule's, its results unknown.
set -euo pipefail
export PYTHONPATH=src OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
run=${RUN:-runs/out}
echopulse="python3 -m echopulse.cli"
rates=(16 20 33.333333 50) lengths=(4.0625 3.25 1.95 1.3) # of the generator's other banks, 65 pictures a clip
resume() { [ -f "$1/checkpoint.safetensors" ] || [ -d "$1/ecg" ] && echo "--resume $1" || echo "--run $1"; }

case "${1:?phantom, bank, tokenizer, decoder, measurer, generator, steering or export}" in
phantom) # how fast the simulator is there, and by how many grey values it differs from the CPU's; two minutes
    python3 benchmarks/phantom_speed.py --device cuda ;;
bank) # twelve processes; the tokenizer may start after a minute, the generator when all is there. `seen` is the tokenizer's, `beating` the generator's, which
    # has a third of its clips at other frame rates
    others=
    for i in "${!rates[@]}"; do
        others+="$echopulse simulate --bank '$run/beating-${rates[i]%.*}' --clips ${OTHERS:-2400} --seed $((210 + i)) \
            --prior uniform --view a4c,a2c --fps ${rates[i]} --seconds ${lengths[i]} --workers 12; "
    done
    setsid bash -c "
        $echopulse simulate --bank '$run/seen' --clips ${SEEN:-3840} --seed 101 --prior clinical --displacement \
            --views a4c,a2c,a3c,plax,psax_mitral,psax_papillary,psax_apical --workers 12
        $echopulse simulate --bank '$run/beating' --clips ${CLIPS:-14400} --seed 200 --prior uniform --view a4c,a2c \
            --workers 12
        $echopulse simulate --bank '$run/beating' --clips ${INDEPENDENT:-4800} --seed 320 --prior independent \
            --view a4c,a2c --workers 12
        $echopulse simulate --bank '$run/beating' --clips ${STANDING:-480} --seed 310 --prior uniform --view a4c,a2c \
            --set rhythm=asystole --workers 12
        $echopulse simulate --bank '$run/beating' --clips ${USUAL:-2400} --seed 331 --prior clinical --view a4c,a2c \
            --workers 12
        $others" > "$run-bank.log" 2>&1 &
    sleep "${WAIT:-60}" ;;
tokenizer) # --grain: also how tissue moves, and the speckle on it
    OMP_NUM_THREADS=3 $echopulse train tokenizer --grain --data "$run/seen" $(resume "$run/tokenizer") --device cuda \
        --batch 48 --minutes 8 --steps 1000000 --learning-rate 1e-3 --out "$run/model" ;;
decoder) # for the same tokens, held more to the square of the error
    from=$([ -f "$run/decoder/checkpoint.safetensors" ] || echo "--from $run/model")
    OMP_NUM_THREADS=3 $echopulse train tokenizer --grain --keep-tokens $from --data "$run/seen" $(resume "$run/decoder") \
        --device cuda --batch 48 --minutes 4 --steps 1000000 --learning-rate 6e-4 --loss l1=0.25 --loss mse=10 \
        --loss moving=3 --out "$run/model" ;;
measurer)
    OMP_NUM_THREADS=3 $echopulse train measurer --clips 20000 $(resume "$run/measurer") --device cuda \
        --batch 96 --minutes 2 --steps 1000000 --out "$run/model" ;;
generator)
    others=()
    for rate in "${rates[@]}"; do others+=(--data "$run/beating-${rate%.*}"); done
    OMP_NUM_THREADS=3 $echopulse train generator --data "$run/beating" "${others[@]}" $(resume "$run/generator") \
        --device cuda --batch 96 --minutes 9 --steps 1000000 --learning-rate 1e-3 --guidance 3 --tokenizer "$run/model" \
        --out "$run/model" ;;
steering) # what EF to expect and what came of it
    OMP_NUM_THREADS=3 $echopulse train steering --data "$run/beating" $(resume "$run/steering") --from "$run/model" \
        --device cuda --batch 256 --minutes 2 --steps 1000000 --out "$run/model" ;;
export) # parts that any channel takes: join them again with cat
    mkdir -p "${OUT:?}"
    cp "$run/model/config.json" "$OUT/"
    for name in tokenizer measurer generator familiarity steering; do
        split -b 15M "$run/model/$name.safetensors" "$OUT/$name.part-"
    done ;;
esac
