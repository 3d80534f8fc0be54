//! A handler that asks a service of its own, and sends a template when the customer's window is closed by the time of the
//! answer.
//!
//! `STOCK_URL=http://127.0.0.1:4000 cargo run --example stock -- dev`, and beside it `simulate inbound --text "is tea in stock?"`.
//! The service answers `GET /{article}` with a number.

use std::time::Duration;

use switchboard::{
    App, Context, Event, EventKind, Handler, HandlerError, HandlerResult, Outcome, Reply, Template,
};

struct Stock {
    http: reqwest::Client,
    url: String,
}

impl Handler for Stock {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let EventKind::MessageReceived(message) = &event.kind else { return Ok(Outcome::ignored()) };
        let words = message.text().unwrap_or_default().to_lowercase();
        let Some(article) = words.strip_prefix("is ").and_then(|rest| rest.split_whitespace().next()) else {
            return Ok(Outcome::ignored());
        };
        let count = self.count(article).await?;
        let text = format!("We have {count} of {article}.");
        // It may be a while until the service is back, and the window closed by then.
        let fallback = Template::new("stock_answer", "en").parameter("body_1", article);
        Ok(Reply::text(text).with_fallback(&fallback).into())
    }
}

impl Stock {
    /// Asking twice changes nothing, so the handler may run twice. What may mend itself is tried again.
    async fn count(&self, article: &str) -> Result<u64, HandlerError> {
        let answer = self.http.get(format!("{}/{article}", self.url)).send().await;
        let answer = answer.map_err(|_| HandlerError::retry("the stock service does not answer"))?;
        if answer.status() == 503 {
            return Err(HandlerError::retry_after(Duration::from_secs(30), "the stock service is busy"));
        }
        let text =
            answer.error_for_status().map_err(|_| HandlerError::retry("the stock service failed"))?.text();
        let text = text.await.map_err(|_| HandlerError::retry("the stock service's answer broke off"))?;
        text.trim().parse().map_err(|_| HandlerError::fail("the stock service answers with no number"))
    }
}

#[tokio::main]
#[expect(
    clippy::disallowed_methods,
    reason = "an example of somebody else's program, with an environment of its own"
)]
async fn main() -> std::process::ExitCode {
    switchboard::connectly::client::install_crypto_provider();
    let url = std::env::var("STOCK_URL").unwrap_or_else(|_| "http://127.0.0.1:4000".to_owned());
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap_or_default();
    App::new().handler("stock", Stock { http, url }).main().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard::model::outcome::Retry;
    use switchboard::testing::Chat;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    async fn chat(answer: ResponseTemplate) -> (MockServer, Chat) {
        switchboard::connectly::client::install_crypto_provider();
        let server = MockServer::start().await;
        Mock::given(path("/tea")).respond_with(answer).mount(&server).await;
        let stock = Stock { http: reqwest::Client::builder().no_proxy().build().unwrap(), url: server.uri() };
        (server, Chat::with(stock))
    }

    #[tokio::test]
    async fn it_tells_the_count_with_a_template_to_fall_back_on() {
        let (_server, mut chat) = chat(ResponseTemplate::new(200).set_body_string("7\n")).await;
        let turn = chat.says("Is tea in stock?").await;
        assert_eq!(turn.text(), "We have 7 of tea.");
        assert!(turn.replies()[0].fallback.is_some());
    }

    #[tokio::test]
    async fn it_comes_back_when_the_service_is_busy() {
        let (_server, mut chat) = chat(ResponseTemplate::new(503)).await;
        let turn = chat.says("is tea in stock?").await;
        assert_eq!(turn.error().unwrap().retry, Retry::After(Duration::from_secs(30)));
    }
}
