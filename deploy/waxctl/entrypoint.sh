#!/bin/sh
# What the Bytewax chart runs in a pod, by the environment it sets. The flow replaces the shell: so
# SIGTERM reaches it, which drains it, and its exit status is the container's.
set -eu
cd "$BYTEWAX_WORKDIR"
exec python -m bytewax.run "$BYTEWAX_PYTHON_FILE_PATH:flow"
