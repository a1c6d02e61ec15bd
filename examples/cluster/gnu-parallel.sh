#!/bin/sh
# A study on the machines that GNU parallel can reach, or on this one: one job a shard, then the merge.
#
#   examples/cluster/gnu-parallel.sh STUDY.toml OUT SHARDS [JOBS AT A TIME]
#
# BURN_PTQ names the command, if it is not burn-ptq; BURN_PTQ_ASSETS the folder of the tasks.
# For several machines that share a file system, add to `parallel`:
#   --sshlogin host1,host2 --env BURN_PTQ_ASSETS --workdir .
# A job that is killed is started again (--retries) and continues where it was.
set -eu

if [ $# -lt 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
study=$1 out=$2 shards=$3 jobs=${4:-$3}
command=${BURN_PTQ:-burn-ptq}

if ! parallel --version 2>/dev/null | grep -q '^GNU parallel'; then
    echo "gnu-parallel.sh: missing: GNU parallel (Debian: apt-get install parallel)" >&2
    exit 1
fi
# Without --quote, a shell would split names with spaces once more.
seq "$shards" | parallel --will-cite --quote --jobs "$jobs" --retries 3 --halt now,fail=1 \
    "$command" ablate "$study" --out "$out" --shard "{}/$shards"
"$command" ablate merge "$out"/results-*-of-"$shards".jsonl --out "$out"
