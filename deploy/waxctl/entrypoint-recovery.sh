#!/bin/sh
# What the chart runs before it, in each pod, on the volume they share: makes the recovery store,
# once, whichever pod comes first.
set -eu
exec flock "$BYTEWAX_RECOVERY_DIRECTORY/made.lock" sh -euc '
    [ -e "$BYTEWAX_RECOVERY_DIRECTORY/part-0.sqlite3" ] ||
        python -m bytewax.recovery "$BYTEWAX_RECOVERY_DIRECTORY" "$BYTEWAX_RECOVERY_PARTS"'
