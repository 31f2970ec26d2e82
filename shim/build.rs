//! How `libcupool.so` is linked.

fn main() {
    // The handler of the signal, the thread and what runs at exit outlive a `dlclose` by a program
    // that has opened the library itself.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // Every name exported here may have another definition in front of it, or be rewritten later
    // (UCX does that to the relocations of loaded objects). What this library calls and hands out
    // under such a name is its own, functions and pointers in tables alike.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    println!("cargo:rerun-if-changed=build.rs");
}
