//! Gives the library the name under which programs look for the CUDA driver.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    // As NVIDIA's, it gives out its own functions, not those of a library that stands in front.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    // As NVIDIA's: threads of the library outlive a dlclose.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
