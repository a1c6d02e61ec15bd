#!/bin/sh
#SBATCH --job-name=ablate
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --output=ablate-%A-%a.log
#SBATCH --requeue
# A study as a Slurm job array, a shard a task. Set the array's size above and SHARDS below to the same
# number, and then:
#
#   job=$(sbatch --parsable examples/cluster/slurm-array.sh STUDY.toml OUT)
#   sbatch --dependency=afterok:$job --wrap 'burn-ptq ablate merge OUT/results-*.jsonl --out OUT'
#
# OUT lies on a file system that all nodes see. A task that is preempted or reaches its time limit
# continues where it was when it is queued again. BURN_PTQ names the command, if it is not burn-ptq;
# BURN_PTQ_ASSETS the folder of the tasks. To run some shards again: sbatch --array=3,7 slurm-array.sh ..
set -eu

# Not SLURM_ARRAY_TASK_COUNT, which is smaller where only some shards are submitted again.
SHARDS=16

exec "${BURN_PTQ:-burn-ptq}" ablate "$1" --out "$2" --jobs 1 --shard "$SLURM_ARRAY_TASK_ID/$SHARDS"
