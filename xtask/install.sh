#!/bin/sh
# Installs cupool: ./install.sh [--prefix DIR]      (DIR: /usr/local)
#
# Each file is written under another name and renamed over the old one. A process that runs with the
# old library keeps it, untouched, until it ends: writing into a file that is mapped would change
# the code of a running program.
set -eu

prefix=/usr/local
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) [ $# -ge 2 ] || { echo "install.sh: --prefix needs a directory" >&2; exit 2; }
                  prefix=$2; shift 2 ;;
        --prefix=*) prefix=${1#*=}; shift ;;
        -h|--help) echo "usage: install.sh [--prefix DIR]"; exit 0 ;;
        *) echo "install.sh: unknown argument $1; usage: install.sh [--prefix DIR]" >&2; exit 2 ;;
    esac
done
# DESTDIR stands before the prefix where a distribution's package is made.
root=${DESTDIR:-}$prefix
here=$(cd "$(dirname "$0")" && pwd)

# Before anything is replaced: does it run here?
"$here/bin/cupool" --version >/dev/null || {
    echo "install.sh: this release does not run on this machine: $(uname -m), $(ldd --version 2>&1 | head -n 1)" >&2
    exit 1
}

temporary=
trap '[ -z "$temporary" ] || rm -f "$temporary"' EXIT
trap 'exit 1' HUP INT TERM

put() {  # MODE FILE DIRECTORY
    mkdir -p "$root/$3"
    temporary=$root/$3/.${2##*/}.$$
    cp "$here/$2" "$temporary"
    chmod "$1" "$temporary"
    mv -f "$temporary" "$root/$3/${2##*/}"
    temporary=
}

put 755 lib/libcupool.so lib
put 755 bin/cupool bin
put 644 include/cupool.h include
# Man pages and completions.
for file in "$here"/share/*/*/*; do
    file=${file#"$here"/}
    put 644 "$file" "${file%/*}"
done
for file in README.md PLATFORM.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT; do
    put 644 "$file" share/doc/cupool
done
echo "installed: $prefix/lib/libcupool.so, $prefix/bin/cupool"
