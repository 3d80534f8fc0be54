//! A process beside the product that serves the same webhook.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::process::Server;

/// Anything that serves the webhook as a process of its own.
pub(crate) trait Process {
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// What it holds in memory, in KiB.
    fn resident_kib(&self) -> u64;
}

impl Process for Server {
    fn address(&self) -> SocketAddr {
        self.public
    }

    fn resident_kib(&self) -> u64 {
        Self::resident_kib(self)
    }
}

/// A running program that is not the product.
pub(crate) struct Service {
    child: Child,
    address: SocketAddr,
    /// Open as long as it runs, so that it can print.
    _said: BufReader<ChildStdout>,
}

impl Service {
    /// Starts a program and waits until it prints `ready <address>`.
    pub(crate) fn start(mut program: Command) -> Self {
        let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("ready ") else {
            let _ = child.kill();
            panic!("{program:?} did not get ready: {line:?}, {:?}", child.wait());
        };
        Self { address: address.parse().unwrap(), child, _said: said }
    }
}

impl Process for Service {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
