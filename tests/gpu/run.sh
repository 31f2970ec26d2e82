#!/bin/sh
# Runs the GPU suite, bare and pooled, on a machine with an NVIDIA GPU:
#   run.sh [--quick] [--only PATTERN] [--lib PATH_TO_libcupool.so]
# The last line is `N passed, M failed`. See README.md beside this file.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 exec python3 "$here/suite/main.py" "$@"
