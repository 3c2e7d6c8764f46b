#!/bin/sh
# Runs one sweep on the cluster, from a node of its own that takes no trials: Ray wants a driver to be on a node. Both end with the container.
#
#     controller.sh HEAD:PORT FILE [KEY=VALUE…] [OPTIONS OF hpsearch run]
set -eu
head=$1
shift
"$(dirname "$0")/ray-node.sh" "$head" --address "$head" --num-cpus 0 --num-gpus 0 >&2
exec hpsearch run "$@" --executor ray --address "$head"
