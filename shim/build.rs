//! How `libcupool.so` is linked.

fn main() {
    // The handler of the signal, the thread and what runs at exit outlive a `dlclose` by a program
    // that has opened the library itself.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
