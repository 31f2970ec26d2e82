#!/bin/sh
# Measures bare and pooled alternately on a machine with an NVIDIA GPU and
# prints one table in Markdown:
#   bench.sh [--quick] [--only PATTERN] [--lib PATH_TO_libcupool.so]
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 exec python3 "$here/suite/bench.py" "$@"
