//! The error table of native allocation, scripted faults, capacity.

use crate::child::passes;
use crate::cuda::BYTES;

const INVALID_VALUE: u32 = 1;
const OUT_OF_MEMORY: u32 = 2;

#[test]
fn allocation() {
    passes(&[], |cuda| {
        cuda.context();
        let mut pointer = 77;
        assert_eq!(cuda.cuMemAlloc_v2(&mut pointer, 0), INVALID_VALUE);
        assert_eq!(cuda.cuMemAlloc_v2(&mut pointer, 1 << 50), OUT_OF_MEMORY);
        assert_eq!(pointer, 77);
        assert_eq!(cuda.cuMemFree_v2(0), 0);
        let block = cuda.alloc();
        assert_eq!(cuda.cuMemFree_v2(block + 512), INVALID_VALUE);
        let (mut base, mut size) = (0, 0);
        assert_eq!(cuda.cuMemGetAddressRange_v2(&mut base, &mut size, block + 77), 0);
        assert_eq!((base, size), (block, BYTES));
        assert_eq!(cuda.cuMemFree_v2(block), 0);
        assert_eq!(cuda.cuMemFree_v2(block), INVALID_VALUE);
    });
}

#[test]
fn pinned_memory_has_its_own_free() {
    passes(&[], |cuda| {
        cuda.context();
        let (mut pinned, block) = (0, cuda.alloc());
        assert_eq!(cuda.cuMemHostAlloc(&mut pinned, BYTES, 0), 0);
        assert_eq!(cuda.cuMemFree_v2(pinned), INVALID_VALUE);
        assert_eq!(cuda.cuMemFreeHost(block), INVALID_VALUE);
        assert_eq!(cuda.cuMemFreeHost(pinned), 0);
    });
}

/// The interface of CUDA 3.1 writes four bytes.
#[test]
fn the_old_alloc_writes_four_bytes() {
    passes(&[], |cuda| {
        cuda.context();
        let mut words = [1_u32, 0xabab_abab];
        assert_eq!(cuda.cuMemAlloc(words.as_mut_ptr(), 256), 201);
        assert_eq!(words, [0, 0xabab_abab]);
    });
}

#[test]
fn capacity() {
    passes(&[("SIMCUDA_MEMORY", "67108864")], |cuda| {
        cuda.context();
        let (mut one, mut two) = (0, 0);
        assert_eq!(cuda.cuMemAlloc_v2(&mut one, 40 << 20), 0);
        assert_eq!(cuda.cuMemAlloc_v2(&mut two, 40 << 20), OUT_OF_MEMORY);
        assert_eq!(cuda.cuMemFree_v2(one), 0);
        assert_eq!(cuda.cuMemAlloc_v2(&mut two, 40 << 20), 0);
        let (mut free, mut total) = (0, 0);
        assert_eq!(cuda.cuMemGetInfo_v2(&mut free, &mut total), 0);
        assert_eq!((free, total), (24 << 20, 64 << 20));
    });
}

#[test]
fn scripted_faults() {
    passes(&[("SIMCUDA_FAULTS", "cuMemAlloc:2=2,cuCtxSynchronize:1=999")], |cuda| {
        cuda.context();
        cuda.alloc();
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), OUT_OF_MEMORY);
        cuda.alloc();
        assert_eq!(cuda.cuCtxSynchronize(), 999);
        assert_eq!(cuda.cuCtxSynchronize(), 0);
    });
}

/// The time an allocation takes on an H200.
#[test]
fn latencies() {
    passes(&[("SIMCUDA_LATENCY", "facts")], |cuda| {
        cuda.context();
        let began = std::time::Instant::now();
        let mut block = 0;
        assert_eq!(cuda.cuMemAlloc_v2(&mut block, 1 << 30), 0);
        assert!(began.elapsed().as_micros() >= 45 + 1024 / 5);
    });
}

#[test]
fn counts_and_log() {
    let folder = std::env::temp_dir().join(format!("simcuda-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let (counts, log) = (folder.join("counts"), folder.join("log"));
    let settings = [
        ("SIMCUDA_COUNTS", counts.to_str().expect("text")),
        ("SIMCUDA_LOG", log.to_str().expect("text")),
    ];
    let in_parent = !passes(&settings, |cuda| {
        cuda.context();
        cuda.cuMemFree_v2(cuda.alloc());
        cuda.cuMemFree_v2(0x1234);
    })
    .is_empty();
    if in_parent {
        let counts = std::fs::read_to_string(counts).expect("counts are written at exit");
        assert!(counts.lines().any(|line| line == "cuMemFree 2"), "{counts}");
        let log = std::fs::read_to_string(log).expect("the log is written");
        let results: Vec<&str> = log
            .lines()
            .filter(|line| line.starts_with("cuMemFree "))
            .filter_map(|line| line.rsplit(' ').next())
            .collect();
        assert_eq!(results, ["0", "1"], "{log}");
    }
    let _ = std::fs::remove_dir_all(folder);
}
