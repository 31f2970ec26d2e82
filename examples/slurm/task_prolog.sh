#!/bin/sh
# Puts cupool in front of every task of every job, for an administrator: in slurm.conf
#
#     TaskProlog=/etc/slurm/task_prolog.sh
#
# What a TaskProlog prints as `export NAME=VALUE` becomes the task's environment. A user opts out
# with CUPOOL_DISABLE=1. Where a node lacks the library, nothing is set: a task whose LD_PRELOAD
# cannot be loaded runs all the same, but says so in its output.
#
# Tested: four tasks on a real slurmctld and slurmd (tests/e2e/slurm.rs).
library=${CUPOOL_LIBRARY:-/usr/local/lib/libcupool.so}
[ -r "$library" ] && [ "${CUPOOL_DISABLE:-0}" != 1 ] || exit 0
case ":${LD_PRELOAD:-}:" in
    *libcupool.so*) exit 0 ;;
esac
echo "export LD_PRELOAD=$library${LD_PRELOAD:+:$LD_PRELOAD}"
echo "export CUPOOL_CONF=${CUPOOL_CONF:+$CUPOOL_CONF,}stats:$PWD/cupool-$SLURM_JOB_ID-%h-%p.json"
