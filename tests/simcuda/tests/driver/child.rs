//! Runs a test's body in a process of its own.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use crate::cuda::Cuda;

/// Set in the child: the test whose body it is to run.
const CASE: &str = "SIMCUDA_TEST_CASE";

/// The body must return.
pub fn passes<F: FnOnce(&Cuda)>(settings: &[(&str, &str)], body: F) -> String {
    let Some(output) = run(settings, body) else { return String::new() };
    let text = text(&output);
    assert!(output.status.success(), "the child failed, {}:\n{text}", output.status);
    text
}

/// The simulation must find a hazard in the body, and its report must contain `what`.
pub fn aborts<F: FnOnce(&Cuda)>(what: &str, body: F) {
    aborts_with(&[], what, body);
}

/// The same with settings.
pub fn aborts_with<F: FnOnce(&Cuda)>(settings: &[(&str, &str)], what: &str, body: F) {
    let Some(output) = run(settings, body) else { return };
    let text = text(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "no abort:\n{text}");
    assert!(text.contains("simcuda: HAZARD"), "no report:\n{text}");
    assert!(text.contains(what), "the report does not say {what:?}:\n{text}");
}

/// In the parent, the output of the child; in the child, `None` once the body has returned.
fn run<F: FnOnce(&Cuda)>(settings: &[(&str, &str)], body: F) -> Option<Output> {
    // driver::module::test::{{closure}}
    let path = std::any::type_name::<F>();
    let name = path.split("::").skip(1).take(2).collect::<Vec<_>>().join("::");
    if env::var(CASE).is_ok_and(|case| case == name) {
        body(&Cuda::load());
        return None;
    }
    let mut command = Command::new(env::current_exe().expect("the test binary has a path"));
    command.args([&name, "--exact", "--nocapture", "--test-threads=1"]).env(CASE, &name);
    command.envs(settings.iter().copied());
    Some(command.output().expect("the test binary can be started again"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
