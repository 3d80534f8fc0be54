//! `switchboard healthcheck`: whether a server is ready, for containers without curl.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::http::{client, root_cause};
use super::problem::Problem;
use super::server::ServerOptions;
use super::{Surroundings, Terminal};
use crate::config::Config;

/// The longest that an answer is waited for. The server gives its store as long before it says that it is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shown below the help.
pub const EXAMPLES: &str = "The address is --url, or the one that `dev` left, or the admin listener of the configuration: in a container, \
that of its server. Exit code 0: it is ready. 1: it is not, or there was no answer within two seconds.

Examples:
  switchboard healthcheck
  HEALTHCHECK CMD [\"switchboard\", \"healthcheck\"]   # in a Dockerfile";

/// The server is found by the options of every command.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(
    _args: &Args,
    options: &ServerOptions,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let url = format!("{}/readyz", address(options, file, surroundings)?.trim_end_matches('/'));
    let answer = tokio::time::timeout(PATIENCE, async {
        let response =
            client()?.get(&url).send().await.map_err(|error| {
                anyhow::anyhow!("no answer from {url}: {}", root_cause(&error.without_url()))
            })?;
        let status = response.status();
        Ok::<_, anyhow::Error>((status, response.bytes().await.unwrap_or_default()))
    });
    let (status, body) =
        answer.await.map_err(|_late| anyhow::anyhow!("no answer from {url} within {PATIENCE:?}"))??;
    anyhow::ensure!(status.is_success(), "{}", Problem::read(status, &body));
    Ok(terminal.line("ready")?)
}

/// Where the admin listener is. What is wrong with a configuration is a failure like any other here: nothing but 0 and 1
/// means anything to who runs health checks.
fn address(
    options: &ServerOptions,
    file: Option<&Path>,
    surroundings: &Surroundings,
) -> anyhow::Result<String> {
    if let Some(url) = options.url.as_ref().filter(|url| !url.is_empty()) {
        return Ok(url.clone());
    }
    if file.is_none()
        && let Some(left) = surroundings.connection()?
    {
        return Ok(left.admin_url);
    }
    let loaded =
        Config::load(file, &surroundings.environment).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let mut listen = loaded.config.admin.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    Ok(format!("http://{listen}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use crate::cli::Usage;
    use crate::cli::testing::run;

    async fn server(answer: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(path("/readyz")).respond_with(answer).expect(1).mount(&server).await;
        server
    }

    #[tokio::test]
    async fn a_server_that_is_ready_is_0() {
        let server = server(ResponseTemplate::new(200)).await;
        assert_eq!(run(&server, &["healthcheck"]).await.unwrap().out(), "ready\n");
    }

    #[tokio::test]
    async fn one_that_is_not_is_1_and_says_why() {
        let problem = json!({"title": "Not ready", "detail": "the service is stopping"});
        let server = server(ResponseTemplate::new(503).set_body_json(problem)).await;
        let error = run(&server, &["healthcheck"]).await.err().unwrap();
        assert!(!error.is::<Usage>());
        assert_eq!(error.to_string(), "503 Not ready: the service is stopping");
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_1_after_two_seconds() {
        let server = server(ResponseTemplate::new(200).set_delay(Duration::from_secs(20))).await;
        let error = run(&server, &["healthcheck"]).await.err().unwrap();
        assert!(error.to_string().ends_with("within 2s"), "{error}");
    }
}
