#!/bin/bash
# A Slurm job whose tasks run with cupool in front; the job script itself, and srun, run without.
#
#     sbatch job.sh ./program arguments
#     scancel --signal=USR1 JOBID        all tasks give their idle memory back and write their stats
#     cat cupool-JOBID-*.json
#
# Tested: four tasks on a real slurmctld and slurmd (tests/e2e/slurm.rs).
#SBATCH --job-name=cupool
#SBATCH --ntasks=4

library=${CUPOOL_LIBRARY:-/usr/local/lib/libcupool.so}

# Through the environment: srun's --export takes a comma for the end of a variable, and options are
# separated by commas. One stats file for each process: host (%h) and process (%p) are in its name.
export CUPOOL_CONF="${CUPOOL_CONF:+$CUPOOL_CONF,}stats:$PWD/cupool-$SLURM_JOB_ID-%h-%p.json"

exec srun --input=all --export="ALL,LD_PRELOAD=$library" "$@"
