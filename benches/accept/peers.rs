//! The same webhook built with other frameworks: `benches/peers`. `scripts/bench` installs what they need and says where.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::service::Service;
use crate::webhooks::SECRET;

/// A program that serves the webhook on PostgreSQL.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static str,
    script: PathBuf,
    /// Where it finds its packages, and how it commits.
    environment: Vec<(&'static str, String)>,
}

/// Those that could be installed.
pub(crate) fn installed() -> Vec<Peer> {
    let mut peers = Vec::new();
    if let Some(packages) = folder("SWITCHBOARD_BENCH_FASTAPI") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/fastapi/main.py");
        let environment = vec![("PYTHONPATH", packages)];
        let name = "FastAPI + asyncpg, one insert per request";
        peers.push(Peer { name, program: "python3", script, environment });
    }
    if let Some(folder) = folder("SWITCHBOARD_BENCH_FASTIFY") {
        let groups =
            [("Fastify + pg, one insert per request", "0"), ("Fastify + pg, one insert per group", "1")];
        for (name, group) in groups {
            let script = Path::new(&folder).join("server.mjs");
            peers.push(Peer {
                name,
                program: "node",
                script,
                environment: vec![("GROUP", group.to_owned())],
            });
        }
    }
    peers
}

impl Peer {
    /// Starts it on a database.
    pub(crate) fn start(&self, database: &str) -> Service {
        let mut program = Command::new(self.program);
        program.arg(&self.script).envs(self.environment.iter().cloned());
        program.envs([("PORT", "0"), ("DATABASE_URL", database), ("CONNECTLY_WEBHOOK_SECRET", SECRET)]);
        Service::start(program)
    }
}

#[allow(clippy::disallowed_methods, reason = "how `scripts/bench` says what it installed")]
fn folder(variable: &str) -> Option<String> {
    let folder = std::env::var(variable).ok();
    if folder.is_none() {
        println!("A peer is left out, since {variable} is not set\n");
    }
    folder
}
