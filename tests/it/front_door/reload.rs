//! Certificate files that change while the service runs, which is the real program: signals reach processes.

use std::time::Duration;

use crate::support::certificates::{Files, Issued, issue};
use crate::support::process::Server;
use crate::support::raw::PATIENCE;
use crate::support::{Backend, Database};

/// Nobody listens there, and nobody is sent anything.
const NO_CONNECTLY: &str = "http://127.0.0.1:9";

struct Service {
    files: Files,
    server: Server,
    _database: Database,
}

impl Service {
    async fn start(issued: &Issued) -> Self {
        let database = Database::fresh(Backend::Sqlite).await;
        let files = Files::of(issued);
        let server = Server::start(&database.url, NO_CONNECTLY, &files.config(), "info");
        Self { files, server, _database: database }
    }

    /// Whether a new connection is served with this certificate.
    async fn serves(&self, issued: &Issued) -> bool {
        let url = format!("https://{}/livez", self.server.public);
        let answer = issued.client().build().unwrap().get(url).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    async fn until_it_serves(&self, issued: &Issued) {
        until(async || self.serves(issued).await).await;
    }

    async fn until_it_logs(&self, text: &str) {
        until(async || self.server.log().contains(text)).await;
    }
}

async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_certificate_files_are_picked_up() {
    let (old, new) = (issue(), issue());
    let service = Service::start(&old).await;
    assert!(service.serves(&old).await && !service.serves(&new).await);
    service.files.replace(&new);
    service.until_it_serves(&new).await;
    assert!(!service.serves(&old).await);
    let (ended_well, log) = service.server.stop();
    assert!(ended_well, "{log}");
    assert!(!log.contains("\"ERROR\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_new_certificate_leaves_the_old_one_serving() {
    let (old, new) = (issue(), issue());
    let service = Service::start(&old).await;
    // A key of another certificate, as after a renewal that was half copied; then nothing of use at all.
    std::fs::write(service.files.key(), &new.key).unwrap();
    service.until_it_logs("public.tls.key: ").await;
    assert!(service.serves(&old).await);
    std::fs::write(service.files.certificate(), "nonsense").unwrap();
    service.server.hang_up();
    service.until_it_logs("public.tls.certificate: ").await;
    assert!(service.serves(&old).await);
    service.files.replace(&new);
    service.server.hang_up();
    service.until_it_serves(&new).await;
    let (ended_well, log) = service.server.stop();
    assert!(ended_well, "{log}");
    assert!(log.contains("cert.pem") && log.contains("key.pem"), "the files are named: {log}");
    for secret in new.key.lines().chain(old.key.lines()) {
        assert!(!log.contains(secret), "{log}");
    }
}
