//! Counting instructions, with valgrind's callgrind.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Mutex;

use crate::work::Work;

/// What was counted already.
static COUNTED: Mutex<Option<HashMap<&'static str, f64>>> = Mutex::new(None);

/// How many instructions one takes.
pub(crate) fn each(work: Work) -> f64 {
    let mut counted = COUNTED.lock().unwrap();
    *counted.get_or_insert_default().entry(work.name()).or_insert_with(|| count(work))
}

fn count(work: Work) -> f64 {
    let (few, many) = (work.times(), 3 * work.times());
    let more = of_process(work, many) - of_process(work, few);
    more / f64::from(many - few)
}

#[allow(clippy::disallowed_methods, reason = "this program runs itself")]
fn of_process(work: Work, times: u32) -> f64 {
    let mut program = Command::new("valgrind");
    program.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    program.arg(std::env::current_exe().unwrap()).args([work.name(), &times.to_string()]);
    let output = program.output().expect("valgrind is needed: install it, for example with apt");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let counted = said.lines().find_map(|line| line.split_once("Collected :")).unwrap().1;
    counted.trim().parse().unwrap()
}
