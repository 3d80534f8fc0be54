//! A real NATS server of a test's own, to be stopped, killed and started again, and what is in its streams.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt as _;
use serde_json::Value;
use tempfile::TempDir;

/// Names the program; `scripts/test` finds or installs it.
const PROGRAM: &str = "SWITCHBOARD_TEST_NATS_SERVER";
/// Who signs in where somebody has to.
pub const USER: &str = "ana";
pub const PASSWORD: &str = "hunter2";
/// How long it may take to answer on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// A server whose port and store stay the same over all its lives.
pub struct Nats {
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

/// A message of a stream.
pub struct Kept {
    pub subject: String,
    /// The id by which the stream knows it.
    pub id: String,
    pub json: Value,
}

impl Nats {
    /// One that does not run yet.
    pub fn absent(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("switchboard-nats.").tempdir().unwrap();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { port, folder, arguments, child: None }
    }

    /// One that lets nobody in but a user; it does not run yet.
    pub fn guarded() -> Self {
        Self::absent(&["--user", USER, "--pass", PASSWORD])
    }

    pub async fn start() -> Self {
        let mut nats = Self::absent(&[]);
        nats.launch().await;
        nats
    }

    /// Starts it, on the port and with the store it had, and waits until it answers.
    pub async fn launch(&mut self) {
        let mut command = Command::new(program());
        command.args(["-a", "127.0.0.1", "-js", "-p", &self.port.to_string(), "-sd"]).arg(self.folder.path());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let answers = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, answers).await.expect("nats-server answers soon");
    }

    /// SIGTERM, and waits until it has ended.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.child.take().unwrap().wait().unwrap();
    }

    /// SIGKILL: nothing of it runs any further.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Where it is, without who signs in.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Makes a stream that knows an id for so long.
    pub async fn make_stream(&self, name: &str, subjects: &str, duplicate_window: Duration) {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            duplicate_window,
            ..stream::Config::default()
        };
        self.context().await.create_stream(config).await.unwrap();
    }

    /// Everything in a stream, oldest first.
    pub async fn kept(&self, name: &str) -> Vec<Kept> {
        let stream = self.context().await.get_stream(name).await.unwrap();
        let count = usize::try_from(stream.cached_info().state.messages).unwrap();
        let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
        let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
        let messages: Vec<_> = messages.take(count).collect().await;
        messages.into_iter().map(|message| kept(&message.unwrap())).collect()
    }

    async fn context(&self) -> jetstream::Context {
        let options =
            async_nats::ConnectOptions::with_user_and_password(USER.to_owned(), PASSWORD.to_owned());
        jetstream::new(options.connect(self.url()).await.unwrap())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn kept(message: &jetstream::Message) -> Kept {
    let header = |name: &str| message.headers.as_ref()?.get(name).map(ToString::to_string);
    assert_eq!(header("Content-Type").as_deref(), Some("application/json"));
    Kept {
        subject: message.subject.to_string(),
        id: header("Nats-Msg-Id").unwrap(),
        json: serde_json::from_slice(&message.payload).unwrap(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the program is named by the script that finds it")]
fn program() -> String {
    std::env::var(PROGRAM).expect(
        "these tests need a nats-server, which `scripts/test` finds: run that instead of `cargo test`",
    )
}
