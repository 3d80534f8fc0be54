//! How a process ends: what is under way is finished or given back, within the limit, and everybody sees that it is ending.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser as _;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;
use switchboard::cli::{self, Cli, Surroundings};
use switchboard::clock::{Clock, Stopwatch};
use switchboard::config::Environment;
use switchboard::emulator::{Emulator, Inbound, SendFault, Settings};
use switchboard::model::job::{Job, JobState};
use switchboard::store::query::{JobFilter, MessageFilter};
use switchboard::store::{OpenOptions, Store, open};
use switchboard::{App, Context, Event, Handler, HandlerResult, Outcome};

use crate::support::depot::first;
use crate::support::desk::{ECHO, client};
use crate::support::process::{API_KEY, Server, TOKEN};
use crate::support::webhooks::SECRET;
use crate::support::{Backend, Database};

const SECOND: Duration = Duration::from_secs(1);
/// More than a machine that is busy with other tests takes over a limit.
const SLACK: Duration = Duration::from_secs(2);

/// A process beside an emulator.
struct Service {
    server: Server,
    emulator: Emulator,
    database: Database,
    http: reqwest::Client,
}

impl Service {
    /// The real binary with a route that echoes.
    async fn start(config: &str) -> Self {
        let start = |database: &str, emulator: &str| Server::start(database, emulator, config, "info");
        Self::with(Backend::Sqlite, start).await
    }

    async fn with(backend: Backend, start: impl FnOnce(&str, &str) -> Server) -> Self {
        let database = Database::fresh(backend).await;
        let mut settings = Settings::new("biz", SecretString::from(API_KEY), SecretString::from(SECRET));
        settings.listen.set_port(0);
        let emulator = Emulator::start(settings, Clock::system()).await.unwrap();
        let server = start(&database.url, &emulator.url());
        emulator.set_webhook_url(server.webhook_url());
        Self { server, emulator, database, http: client() }
    }

    /// A customer writes, and the answer takes so long.
    async fn is_sending(&self, milliseconds: u64) {
        self.emulator.inject(SendFault::Slow { milliseconds }, 1);
        self.emulator.inbound(Inbound::text("hi")).await.unwrap();
        while self.get("/api/v1/jobs?kind=send&state=running").await.1["data"] == Value::Array(Vec::new()) {
            tokio::time::sleep(SECOND / 50).await;
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = self.http.get(format!("http://{}{path}", self.server.admin)).bearer_auth(TOKEN);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Tells it to end, and waits until it says that it is not ready.
    async fn terminate(&self) -> Stopwatch {
        self.server.terminate();
        let watch = Clock::system().stopwatch();
        while self.get("/readyz").await.0 == StatusCode::OK {
            assert!(watch.elapsed() < 5 * SECOND, "it stays ready");
            tokio::time::sleep(SECOND / 50).await;
        }
        let (status, problem) = self.get("/readyz").await;
        assert_eq!((status.as_u16(), &problem["type"]), (503, &Value::from("/problems/not-ready")));
        watch
    }

    /// Waits for its end: whether it was a success, what it logged, and its store as it left it.
    async fn ended(self) -> (bool, String, Left) {
        let (success, log) = self.server.ended();
        self.emulator.stop().await;
        let options = OpenOptions { migrate: false, connections: 2 };
        let store = open(&self.database.url, &options, Clock::system()).await.unwrap();
        (success, log, Left { store, _database: self.database })
    }
}

/// What a process left behind.
struct Left {
    store: std::sync::Arc<dyn Store>,
    _database: Database,
}

impl Left {
    async fn jobs(&self, state: Option<JobState>) -> Vec<Job> {
        self.store.jobs(&JobFilter { state, ..JobFilter::default() }, first(10)).await.unwrap().data
    }

    async fn message_state(&self) -> String {
        self.store.messages(&MessageFilter::default(), first(1)).await.unwrap().data.remove(0).state
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_on_its_way_is_settled_before_the_end() {
    let service = Service::start(ECHO).await;
    service.is_sending(1_500).await;
    let watch = service.terminate().await;
    let webhook = service.http.post(service.server.webhook_url()).send().await;
    assert!(webhook.unwrap_err().is_connect(), "no new deliveries are taken");
    let (success, log, left) = service.ended().await;
    assert!(success && watch.elapsed() < 10 * SECOND, "as soon as it is done, not at the limit: {log}");
    assert_ne!(left.message_state().await, "unconfirmed");
    assert!(left.jobs(None).await.is_empty());
    // Nobody said so: what is no terminal gets one JSON object a line.
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_asks_for_a_look_at_the_certificate_and_ends_nothing_where_there_is_none() {
    let service = Service::start(ECHO).await;
    service.server.hang_up();
    service.emulator.inbound(Inbound::text("hi")).await.unwrap();
    assert_eq!(service.get("/readyz").await.0, StatusCode::OK);
    service.server.terminate();
    let (success, log, _left) = service.ended().await;
    assert!(success, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let service = Service::start(ECHO).await;
    service.is_sending(30_000).await;
    service.terminate().await;
    let watch = Clock::system().stopwatch();
    service.server.terminate();
    let (success, log, _left) = service.ended().await;
    assert!(!success && watch.elapsed() < SLACK, "{:?}: {log}", watch.elapsed());
    assert!(log.ends_with("error: stopped at once, by a second signal"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_does_not_keep_it() {
    let service = Service::start(ECHO).await;
    let url = format!("http://{}/api/v1/events/stream", service.server.admin);
    let stream = service.http.get(url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let watch = Clock::system().stopwatch();
    service.server.terminate();
    // It ends as an answer ends, and is not cut off.
    stream.bytes().await.unwrap();
    let (success, log, _left) = service.ended().await;
    assert!(success && watch.elapsed() < SECOND + SLACK, "{:?}: {log}", watch.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_within_its_limit_and_a_second() {
    let service = Service::start(&format!("[worker]\ndrain = \"1s\"\n{ECHO}")).await;
    service.is_sending(30_000).await;
    let watch = service.terminate().await;
    let (success, log, left) = service.ended().await;
    assert!(success && watch.elapsed() < 2 * SECOND + SLACK, "{:?}: {log}", watch.elapsed());
    let cut = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let cut: Vec<_> = cut.filter(|line| line["message"] == "work was cut off at the drain limit").collect();
    let jobs = left.jobs(None).await;
    assert_eq!((cut.len(), cut[0]["job.id"].as_str()), (1, Some(jobs[0].id.to_string().as_str())), "{log}");
    // Its request has left: nobody may send it again.
    assert_eq!(jobs[0].state, JobState::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_in_flight_is_finished() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let slow = SlowService::start(backend, "30s").await;
        slow.is_handling("hi").await;
        slow.service.terminate().await;
        std::fs::write(slow.folder.path().join(FINISH), "").unwrap();
        let (success, log, left) = slow.service.ended().await;
        assert!(success, "{log}");
        assert!(left.jobs(None).await.is_empty());
        assert_eq!(left.jobs(Some(JobState::Done)).await[0].attempts, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_cut_off_is_given_back() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let slow = SlowService::start(backend, "500ms").await;
        slow.is_handling("hi").await;
        let watch = slow.service.terminate().await;
        let (success, log, left) = slow.service.ended().await;
        assert!(success && watch.elapsed() < SECOND + SLACK, "{:?}: {log}", watch.elapsed());
        // Ready for the next instance at once, with all its chances.
        let job = left.jobs(None).await.remove(0);
        assert_eq!((job.state, job.attempts), (JobState::Ready, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_cannot_keep_the_process() {
    let slow = SlowService::start(Backend::Sqlite, "500ms").await;
    slow.is_handling(BLOCK).await;
    let watch = Clock::system().stopwatch();
    slow.service.server.terminate();
    let (success, log, _left) = slow.service.ended().await;
    assert!(!success && watch.elapsed() < 2 * SECOND + SLACK, "{:?}: {log}", watch.elapsed());
    assert!(log.ends_with("since something did not end within the limit"), "{log}");
}

/// A service with a handler that takes its time.
struct SlowService {
    service: Service,
    folder: tempfile::TempDir,
}

const SLOW_ROUTE: &str = "[[routes]]\nname = \"slow\"\non = [\"message.received\"]\nhandler = \"slow\"\n";
/// Names the folder, and makes this test the service.
const SLOW: &str = "SWITCHBOARD_TEST_SLOW";
/// The file that tells that the handler has begun.
const BEGUN: &str = "begun";
/// The file that lets the handler finish.
const FINISH: &str = "finish";
/// The text that makes the handler block its thread.
const BLOCK: &str = "block";

impl SlowService {
    async fn start(backend: Backend, drain: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[worker]\ndrain = \"{drain}\"\n{SLOW_ROUTE}");
        let start = |database: &str, emulator: &str| {
            let mut program = Command::new(std::env::current_exe().unwrap());
            program.args(["--exact", "lifecycle::the_service_with_a_slow_handler", "--nocapture"]);
            program.env(SLOW, folder.path());
            Server::start_as(program, database, emulator, &config, "info")
        };
        let service = Service::with(backend, start).await;
        Self { service, folder }
    }

    async fn is_handling(&self, text: &str) {
        self.service.emulator.inbound(Inbound::text(text)).await.unwrap();
        wait_for(self.folder.path().join(BEGUN)).await;
    }
}

async fn wait_for(file: PathBuf) {
    while !file.exists() {
        tokio::time::sleep(SECOND / 50).await;
    }
}

struct Slow(PathBuf);

impl Handler for Slow {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        std::fs::write(self.0.join(BEGUN), "").unwrap();
        if event.content().is_some_and(|content| content.text.as_deref() == Some(BLOCK)) {
            std::thread::sleep(60 * SECOND);
        }
        wait_for(self.0.join(FINISH)).await;
        Ok(Outcome::ignored())
    }
}

/// What the tests above start in a process of its own; by itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "how the two processes tell each other apart")]
async fn the_service_with_a_slow_handler() {
    let Some(folder) = std::env::var_os(SLOW) else { return };
    let surroundings = Surroundings {
        clock: Clock::system(),
        folder: Path::new(".").into(),
        configured: None,
        app: App::new().handler("slow", Slow(folder.into())),
        environment: Environment::from_process(),
    };
    assert_eq!(cli::run(Cli::parse_from(["switchboard", "serve"]), surroundings).await, ExitCode::SUCCESS);
}
