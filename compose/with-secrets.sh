#!/bin/sh
# Runs a command with each MLFLOW_…_FILE of its environment read into MLFLOW_…: MLflow takes passwords from the environment alone, and
# compose.yaml has none in it. What hpsearch, Ray and PostgreSQL need they read from their files themselves.
set -eu
for variable in $(env | sed -n 's/^\(MLFLOW_[A-Z_]*\)_FILE=.*/\1/p'); do
    eval "$variable=\$(cat \"\$${variable}_FILE\")"
    export "${variable?}"
done
exec "$@"
