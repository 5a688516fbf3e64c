#!/usr/bin/env bash
# Train with several processes on this machine: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT on each. Without CUDA, processes use gloo.
set -euo pipefail
source "$(dirname "$0")/find_python.sh"
if [ $# -lt 2 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi
config=$1 gpus=$2; shift 2
if [ "${NNODES:-1}" = 1 ] && [ -z "${MASTER_PORT:-}" ]; then
  rendezvous=(--standalone)  # picks a free port
else
  rendezvous=(--nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}"
              --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${MASTER_PORT:-29500}")
fi
# exec: a signal to this script reaches torchrun, which ends its workers.
exec "$PYTHON" -m torch.distributed.run "${rendezvous[@]}" --nproc_per_node "$gpus" \
  "$root/tools/train.py" "$config" --launcher pytorch "$@"
