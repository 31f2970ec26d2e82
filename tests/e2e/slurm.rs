//! Jobs of a real Slurm with one node, which is this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use cupool_tests::{LIBCUPOOL, SIMCUDA_DIR, VICTIMS_DIR, VICTIMS_SOURCE};
use serde_json::Value;
use tempfile::TempDir;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/slurm");
const TASKS: usize = 4;

/// A cluster of its own: key, ports, files.
struct Cluster {
    directory: TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    /// `None`, with a word, where there is no Slurm or only root could start it.
    fn start() -> Option<Cluster> {
        let installed = |program: &str| Path::new("/usr/sbin").join(program).exists();
        // SAFETY: `geteuid` only reads.
        let root = unsafe { libc::geteuid() } == 0;
        if !root || !["munged", "slurmctld", "slurmd"].into_iter().all(installed) {
            println!("skipped: Slurm and munge are needed, and root to start them");
            assert!(env::var_os("CI").is_none(), "CI must have Slurm");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut cluster = Cluster { directory, daemons: Vec::new() };
        cluster.configure();
        let munge = |name: &str| cluster.path(&format!("munge.{name}")).display().to_string();
        let mut munged = Command::new("/usr/sbin/munged");
        munged
            .args(["--foreground", "--force"])
            .arg(format!("--key-file={}", munge("key")))
            .arg(format!("--socket={}", munge("socket")))
            .arg(format!("--pid-file={}", munge("pid")))
            .arg(format!("--log-file={}", munge("log")))
            .arg(format!("--seed-file={}", munge("seed")));
        let socket = cluster.path("munge.socket");
        cluster.daemon(munged);
        wait_for("munged", || socket.exists());
        for program in ["slurmctld", "slurmd"] {
            let mut daemon = cluster.command(&format!("/usr/sbin/{program}"));
            daemon.arg("-D");
            cluster.daemon(daemon);
        }
        wait_for("an idle node", || {
            let state = cluster.command("sinfo").args(["-h", "-o", "%T"]).output();
            state.is_ok_and(|state| state.stdout.starts_with(b"idle"))
        });
        Some(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self) {
        use std::os::unix::fs::PermissionsExt;

        let host = Command::new("hostname").arg("-s").output().expect("hostname runs");
        let host = String::from_utf8_lossy(&host.stdout).trim().to_owned();
        let directory = self.directory.path().display();
        // Two clusters at a time would need ports of their own.
        let first = 20_000 + std::process::id() % 20_000;
        let configuration = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={first}\n\
             SlurmdPort={}\nAuthType=auth/munge\nAuthInfo=socket={directory}/munge.socket\n\
             CredType=cred/munge\nSlurmUser=root\nSlurmdUser=root\n\
             StateSaveLocation={directory}\nSlurmdSpoolDir={directory}/spool\n\
             SlurmctldPidFile={directory}/slurmctld.pid\nSlurmdPidFile={directory}/slurmd.pid\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\n\
             ReturnToService=2\nSlurmdParameters=config_overrides\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs={TASKS} State=UNKNOWN\n\
             PartitionName=all Nodes={host} Default=YES State=UP\n",
            first + 1
        );
        fs::write(self.path("slurm.conf"), configuration).expect("slurm.conf");
        let key: Vec<u8> = (0..=255).cycle().take(1024).collect();
        fs::write(self.path("munge.key"), key).expect("munge.key");
        let private = fs::Permissions::from_mode(0o400);
        fs::set_permissions(self.path("munge.key"), private).expect("munge.key");
    }

    /// One of Slurm's programs, asked of this cluster, in its directory.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env("SLURM_CONF", self.path("slurm.conf"))
            .env("LD_LIBRARY_PATH", SIMCUDA_DIR)
            .env("VICTIM_KERNELS", Path::new(VICTIMS_SOURCE).join("kernels.simcuda"))
            .env("CUPOOL_LIBRARY", LIBCUPOOL);
        command
    }

    fn daemon(&mut self, mut command: Command) {
        let name = command.get_program().to_string_lossy().rsplit('/').next().map(str::to_owned);
        let log = self.path(&format!("{}.log", name.unwrap_or_default()));
        let log = fs::File::create(log).expect("a log");
        let errors = log.try_clone().expect("a descriptor");
        let daemon = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.daemons.push(daemon.expect("the daemon starts"));
    }

    /// The stats files of the tasks.
    fn stats(&self) -> Vec<Value> {
        let entries = fs::read_dir(self.directory.path()).expect("the directory");
        let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files = names.filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("cupool-") && name.ends_with(".json")
        });
        files.filter_map(|file| serde_json::from_slice(&fs::read(file).ok()?).ok()).collect()
    }

    /// Runs four tasks of a program that blocks with 64 MiB cached, has Slurm send them a signal,
    /// and checks that each gave its memory back and went on as if nothing had been.
    fn flush_by_scancel(&self, mut job: Command) {
        job.arg(Path::new(VICTIMS_DIR).join("signal_read"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut job = job.spawn().expect("the job starts");
        let jobs = || {
            let listed = self.command("squeue").args(["-h", "-t", "R", "-o", "%A"]).output();
            String::from_utf8_lossy(&listed.expect("squeue runs").stdout).trim().to_owned()
        };
        wait_for("a running job", || !jobs().is_empty());
        // Each task is asleep in its `read`, once it is `signal_read` and has nothing more to do.
        wait_for("four tasks that block", || {
            let tasks = tasks_in_read();
            tasks.len() == TASKS
        });
        let sent = self.command("scancel").args(["--signal=USR1", &jobs()]).status();
        assert!(sent.expect("scancel runs").success());
        wait_for("four flushes", || {
            let stats = self.stats();
            let flushed = |stats: &&Value| stats["flushes"][0]["released_bytes"] == 64 << 20;
            stats.iter().filter(flushed).count() == TASKS
        });
        use std::io::Write;
        job.stdin.take().expect("piped").write_all(b"x\n").expect("the tasks read");
        let output = job.wait_with_output().expect("the job ends");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        assert_eq!(text.matches("read 2 bytes: x\n").count(), TASKS, "{text}{errors}");
        assert_eq!(self.stats().len(), TASKS, "one stats file for each task, none beside");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// The processes that run `signal_read` and are blocked in the `read` of their standard input.
fn tasks_in_read() -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let blocked = |pid: &u32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let program = read("cmdline").unwrap_or_default();
        let call = read("syscall").unwrap_or_default();
        program.split('\0').next().is_some_and(|program| program.ends_with("/signal_read"))
            && call.starts_with(&format!("{} 0x0 ", libc::SYS_read))
            && in_a_job(*pid)
    };
    processes.filter(blocked).collect()
}

/// Other tests run the same program.
fn in_a_job(pid: u32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(b"SLURM_PROCID="))
}

#[track_caller]
fn wait_for(what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "there never was {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// One cluster for both, one after the other.
#[test]
fn four_tasks_flushed_by_scancel() {
    let Some(cluster) = Cluster::start() else { return };

    // As a job script: sbatch would detach the tasks' standard input, which the program waits on.
    let mut job = cluster.command("salloc");
    job.args(["--quiet", "--ntasks=4"]).arg(Path::new(EXAMPLES).join("job.sh"));
    cluster.flush_by_scancel(job);

    for entry in fs::read_dir(cluster.directory.path()).expect("the directory").flatten() {
        if entry.file_name().to_string_lossy().starts_with("cupool-") {
            fs::remove_file(entry.path()).expect("a stats file");
        }
    }
    let mut job = cluster.command("srun");
    job.args(["--input=all", "--ntasks=4", "--task-prolog"])
        .arg(Path::new(EXAMPLES).join("task_prolog.sh"));
    cluster.flush_by_scancel(job);
}
