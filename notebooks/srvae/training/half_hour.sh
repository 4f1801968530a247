#!/usr/bin/env bash
# Half an hour of one GPU, in commands of nine minutes of training and less, which resume one another.
#
#   half_hour.sh probe  4 PHOTOGRAPHS OUT --teacher vapsr_x4.safetensors    steps/s of batches of 16, 64 and 128
#   half_hour.sh first  4 PHOTOGRAPHS OUT --teacher vapsr_x4.safetensors    the answer of 4x-D, the first nine minutes
#   half_hour.sh second 4 PHOTOGRAPHS OUT --teacher vapsr_x4.safetensors    the other nine, at the end of which lr is 0
#   half_hour.sh samples 4 PHOTOGRAPHS OUT --repulsion 0.2 --answer-weight 1 --features DISTILLED_VGG
#   half_hour.sh samples 8 PHOTOGRAPHS OUT --repulsion 0.22 --answer-weight 0.2 --features DISTILLED_VGG --adversary 2
#
# samples trains for six minutes, on codes that are computed once.
# At scale 8 the teacher is two files. PHOTOGRAPHS is a folder or a pack, OUT a folder for weights and logs. BATCH (64),
# MINUTES (18, of both halves of the answer) and DEVICE (cuda) are variables.
set -euo pipefail
command=$1 scale=$2 photographs=$3 out=$4
shift 4
batch=${BATCH:-64} minutes=${MINUTES:-18} runs=runs/half_hour_${scale}x
export PYTHONPATH=.:notebooks
common=(--data "$photographs" --scale "$scale" --device "${DEVICE:-cuda}" --decay 0.7 --ema 0.999 --steps 1000000000
  --validations 10 --checkpoints 10)
answer=("${common[@]}" --initial "data/weights/SR_VAE_${scale}x-D.safetensors" --minutes "$minutes")

rate() { python3 -c "print(1.5e-3 * ($1 / 16) ** 0.5)"; } # grows with the square root of the batch

train_answer() { # until a share of the minutes
  python3 -m srvae train run --run "$runs/answer" --batch "$batch" --lr "$(rate "$batch")" "${answer[@]}" --stop "$@"
  deliver answer "${scale}x-D"
}

deliver() { # the weights and the log of a run
  python3 -m srvae train export "$runs/$1" "$2" --folder "$out"
  cp "$runs/$1/log.csv" "$out/$1.csv"
}

case $command in
  probe)
    for batch in 16 64 128; do
      echo "batch $batch"
      python3 -m srvae train benchmark --batch "$batch" --seconds "${SECONDS_EACH:-5}" "${answer[@]}" "$@"
    done
    ;;
  first) train_answer 0.5 "$@" ;;
  second) train_answer 1 "$@" ;;
  samples)
    python3 -m srvae train run --run "$runs/samples" --batch "$batch" "${common[@]}" --minutes "$(python3 -c "print($minutes / 3)")" \
      --initial "$runs/answer" --stage adversarial --optimiser relative --warmup 100 "$@"
    deliver samples "${scale}x-P"
    ;;
esac
