//! A server that answers what a test says, and what a command printed.

use serde_json::Value;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use clap::Parser as _;

use super::terminal::Terminal;
use super::{Cli, Surroundings, dispatch};
use crate::clock::Clock;

/// What a command printed.
#[derive(Default)]
pub(crate) struct Captured {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Captured {
    pub(crate) fn terminal(&mut self) -> Terminal<'_> {
        Terminal::new(&mut self.out, &mut self.err, false)
    }

    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    pub(crate) fn err(&self) -> &str {
        std::str::from_utf8(&self.err).unwrap()
    }
}

/// The mocked answer to a request with this method, path and query, and with the token.
pub(crate) async fn answer(server: &MockServer, verb: &str, target: &str, response: ResponseTemplate) {
    let target = reqwest::Url::parse(&format!("http://mock{target}")).unwrap();
    let mut mock = Mock::given(method(verb)).and(path(target.path()));
    for (name, value) in target.query_pairs() {
        mock = mock.and(query_param(name, value));
    }
    mock.and(header("authorization", "Bearer token-1")).respond_with(response).expect(1).mount(server).await;
}

/// A mocked JSON answer to a GET.
pub(crate) async fn answers(server: &MockServer, target: &str, body: &Value) {
    answer(server, "GET", target, ResponseTemplate::new(200).set_body_json(body)).await;
}

/// Runs a command line against a server.
pub(crate) async fn run(server: &MockServer, line: &[&str]) -> anyhow::Result<Captured> {
    let folder = tempfile::tempdir().unwrap();
    let told = ["switchboard", "--url", &server.uri(), "--admin-token", "token-1"];
    let cli = Cli::try_parse_from([&told, line].concat()).unwrap();
    let surroundings = Surroundings {
        clock: Clock::system(),
        folder: folder.path().into(),
        configured: None,
        app: crate::App::default(),
        environment: crate::config::Environment::default(),
    };
    let mut captured = Captured::default();
    dispatch(cli, &surroundings, &mut captured.terminal()).await?;
    Ok(captured)
}
