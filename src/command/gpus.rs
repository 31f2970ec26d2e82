//! Which GPU is which.
//!
//! A process counts the devices that it sees from 0; which those are, `CUDA_VISIBLE_DEVICES` may
//! have chosen. The UUID tells; the number beside it is that of `nvidia-smi`, which counts in the
//! order of the bus.

use std::fs;
use std::path::Path;

use cupool::report::Device;

/// The GPUs of this machine.
pub struct Gpus {
    uuids: Vec<String>,
}

impl Gpus {
    /// Those that the driver tells of. None where there is no driver.
    pub fn of_this_machine() -> Self {
        Self::in_directory(Path::new("/proc/driver/nvidia/gpus"))
    }

    fn in_directory(directory: &Path) -> Self {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path().join("information")).collect();
        paths.sort();
        let uuid = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("GPU UUID:"));
            line.unwrap_or_default().trim().to_owned()
        };
        let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap_or_default());
        Self { uuids: texts.map(uuid).collect() }
    }

    /// The number of a process's device: the machine's, or the process's own if that is not known.
    pub fn number(&self, device: &Device) -> u32 {
        let known = !device.uuid.is_empty();
        let number = self.uuids.iter().position(|uuid| known && *uuid == device.uuid);
        number.and_then(|number| number.try_into().ok()).unwrap_or(device.device.unsigned_abs())
    }

    /// Whether the user means this device by `name`, a number or a UUID or its beginning.
    pub fn is(&self, device: &Device, name: &str) -> bool {
        match name.parse::<u32>() {
            Ok(number) => self.number(device) == number,
            Err(_) => name.len() > 4 && device.uuid.starts_with(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(ordinal: i32, uuid: &str) -> Device {
        Device { device: ordinal, uuid: uuid.to_owned(), ..Device::default() }
    }

    #[test]
    fn a_gpu_is_counted_in_the_order_of_the_bus() {
        let scratch = std::env::temp_dir().join(format!("cupool-gpus-{}", std::process::id()));
        for (bus, uuid) in [("0000:4e:00.0", "GPU-b"), ("0000:0f:00.0", "GPU-a")] {
            fs::create_dir_all(scratch.join(bus)).expect("a directory");
            let text =
                format!("Model: \t\t NVIDIA H200\nGPU UUID: \t {uuid}\nDevice Minor: \t 3\n");
            fs::write(scratch.join(bus).join("information"), text).expect("written");
        }
        let gpus = Gpus::in_directory(&scratch);
        fs::remove_dir_all(&scratch).expect("removed");
        assert_eq!(gpus.number(&device(0, "GPU-b")), 1);
        assert_eq!(gpus.number(&device(5, "GPU-a")), 0);
        assert!(gpus.is(&device(0, "GPU-b"), "1") && !gpus.is(&device(0, "GPU-b"), "0"));
        assert!(gpus.is(&device(0, "GPU-b"), "GPU-b") && !gpus.is(&device(0, "GPU-b"), "GPU-a"));
    }

    #[test]
    fn without_a_driver_the_process_counts() {
        let gpus = Gpus::in_directory(Path::new("/nonexistent"));
        assert_eq!(gpus.number(&device(3, "GPU-x")), 3);
        assert!(gpus.is(&device(3, ""), "3") && !gpus.is(&device(3, ""), "GPU-x"));
    }
}
