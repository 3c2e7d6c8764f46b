#!/bin/sh
# `ray start` under the address that faces the head: a container on several networks has several, and Ray would take any.
#
#     ray-node.sh HEAD:PORT [OPTIONS OF ray start]
set -eu
head=${1%:*}
shift
address=$(python -c '
import socket, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect((sys.argv[1], 9))  # sends nothing, only asks for the way
print(probe.getsockname()[0])
' "$head")
exec ray start --node-ip-address "$address" --disable-usage-stats "$@"
