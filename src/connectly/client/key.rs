//! Whether Connectly takes an account's API key, asked by a request that changes nothing.

use super::Client;
use crate::connectly::error::SendAnswer;

/// Why an API key is not known to be good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// 401 or 403.
    #[error("Connectly refuses the API key (status {0})")]
    Refused(u16),
    /// 404.
    #[error("Connectly knows no such business (status 404): check business_id and base_url")]
    UnknownBusiness,
    /// An answer that says nothing of the key.
    #[error("Connectly answers with status {0}, which says nothing of the API key: try again later")]
    Unclear(u16),
    /// No answer.
    #[error("Connectly cannot be reached: {0}")]
    Unreached(String),
}

impl Client {
    /// Asks for the list of registered webhooks, the smallest read that Connectly documents, and looks at the status alone.
    pub async fn check_key(&self) -> Result<(), KeyError> {
        let response = match self.http.get(self.webhooks_url.clone()).send().await {
            Ok(response) => response,
            Err(failure) => return Err(KeyError::Unreached(told(&failure))),
        };
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status @ (401 | 403) => Err(KeyError::Refused(status)),
            404 => Err(KeyError::UnknownBusiness),
            status => Err(KeyError::Unclear(status)),
        }
    }
}

/// What happened, without the address.
fn told(failure: &reqwest::Error) -> String {
    match SendAnswer::from_failure(failure) {
        SendAnswer::NotSent { why } => why.to_string(),
        SendAnswer::Unknown { why, .. } => why.to_string(),
        _ => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::tests::settings;
    use super::*;

    #[tokio::test]
    async fn a_status_tells_whether_the_key_is_good() {
        for (status, told) in [
            (200, Ok(())),
            (401, Err(KeyError::Refused(401))),
            (403, Err(KeyError::Refused(403))),
            (404, Err(KeyError::UnknownBusiness)),
            (302, Err(KeyError::Unclear(302))),
            (503, Err(KeyError::Unclear(503))),
        ] {
            let server = MockServer::start().await;
            let asked = Mock::given(method("GET"))
                .and(path("/v1/businesses/biz%201%2F2/webhooks"))
                .and(header("x-api-key", "key-1"));
            asked.respond_with(ResponseTemplate::new(status)).expect(1).mount(&server).await;
            assert_eq!(Client::new(&settings(&server.uri())).unwrap().check_key().await, told);
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_as_such() {
        // The port was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let told = Client::new(&settings(&url)).unwrap().check_key().await.unwrap_err();
        assert_eq!(told.to_string(), "Connectly cannot be reached: could not connect");
    }
}
