#!/bin/sh
# Nanoseconds of a cuMemAlloc and cuMemFree pair through the preloaded library, hooks and pool, in
# front of a driver that answers at once: no GPU, no simulated one either. Besides `cargo bench -p
# cupool`, which measures the pool alone, this tells what the hooks add.
#
#   benches/hook/run.sh [libcupool.so]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=${1:-}
if [ -z "$library" ]; then
    cargo build --quiet --release --manifest-path "$here/../../Cargo.toml" -p cupool-shim
    library=${CARGO_TARGET_DIR:-$here/../../target}/release/libcupool.so
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"${CC:-cc}" -O2 -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$out/libcuda.so.1" "$here/driver.c"
"${CC:-cc}" -O2 -o "$out/program" "$here/program.c" "$out/libcuda.so.1"
export LD_LIBRARY_PATH="$out"
echo "bare        $("$out/program") ns"
for order in fence lazy strict unordered; do
    pair=$(CUPOOL_TESTING=1 CUPOOL_CONF="order:$order,stats:none" LD_PRELOAD="$library" "$out/program")
    printf '%-11s %s ns\n' "$order" "$pair"
done
