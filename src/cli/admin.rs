//! A client of the admin API. Answers are kept as the text they came in, so that printing them changes nothing.

use bytes::Bytes;
use reqwest::{Client, RequestBuilder, Response, Url, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Usage;
use super::http::{REQUEST_TIMEOUT, client, patient_client, root_cause};
use super::problem::{AdminError, Problem};

/// The most rows that the API puts on one page.
pub const PAGE_ROWS: usize = 200;

/// The header with the key of a request that is done once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that tells that it was done before.
const REPLAYED: &str = "idempotent-replayed";

/// One JSON document in the server's own spelling.
pub type Document = Box<RawValue>;

/// Names and values behind the `?`.
pub type Query = Vec<(String, String)>;

/// A running server's admin API.
#[derive(Debug, Clone)]
pub struct Admin {
    http: Client,
    patient: Client,
    base: Url,
    token: SecretString,
}

impl Admin {
    /// A client of the API at an address. Nothing is asked yet.
    pub fn new(url: &str, token: SecretString) -> anyhow::Result<Self> {
        let wrong =
            || Usage(format!("{url} is no address of a server: it should look like http://127.0.0.1:8081"));
        let base = Url::parse(url).ok().filter(|base| base.has_host() && base.scheme().starts_with("http"));
        let base = base.ok_or_else(wrong)?;
        // What is in the address is printed in errors, so no secret may be.
        let anonymous = base.username().is_empty() && base.password().is_none();
        anyhow::ensure!(anonymous, Usage("the server's address must not hold a user or a password".into()));
        Ok(Self { http: client()?, patient: patient_client()?, base, token })
    }

    /// Gets one document. The path's parts follow `/api/v1`.
    pub async fn get(&self, path: &[&str], query: &Query) -> Result<Document, AdminError> {
        let answer = self.json(self.http.get(self.url(path)).query(query)).await;
        answer.map_err(|error| error.about(path))
    }

    /// Gets bytes as they are stored.
    pub async fn bytes(&self, path: &[&str]) -> Result<Bytes, AdminError> {
        let request = self.http.get(self.url(path)).timeout(REQUEST_TIMEOUT);
        let response = self.send(request).await.map_err(|error| error.about(path))?;
        response.bytes().await.map_err(|error| self.broken(error))
    }

    /// Posts a document and gets one back.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Document, AdminError> {
        self.post_to(path, &Query::new(), body).await
    }

    /// Posts a document under a key, so that it is done once however often it is posted, and gets one back.
    pub async fn post_once(&self, path: &[&str], key: &str, body: &RawValue) -> Result<Once, AdminError> {
        let request = self.http.post(self.url(path)).header(IDEMPOTENCY_KEY, key).json(body);
        let response = self.send(request.timeout(REQUEST_TIMEOUT)).await?;
        let before = response.headers().contains_key(REPLAYED);
        Ok(Once { document: self.received(response).await?, before })
    }

    /// Posts a document to an address with parameters, and gets one back.
    pub async fn post_to(&self, path: &[&str], query: &Query, body: &Value) -> Result<Document, AdminError> {
        let answer = self.json(self.http.post(self.url(path)).query(query).json(body)).await;
        answer.map_err(|error| error.about(path))
    }

    /// Posts a document whose work may take long, and gets one back.
    pub async fn work(&self, path: &[&str], query: &Query, body: &Value) -> Result<Document, AdminError> {
        self.document(self.http.post(self.url(path)).query(query).json(body)).await
    }

    /// Deletes a thing, however long that takes, and gets a document of what went.
    pub async fn delete(&self, path: &[&str], query: &Query) -> Result<Document, AdminError> {
        let answer = self.document(self.patient.delete(self.url(path)).query(query)).await;
        answer.map_err(|error| error.about(path))
    }

    /// Deletes a thing of which nothing is told.
    pub async fn remove(&self, path: &[&str]) -> Result<(), AdminError> {
        let answer = self.send(self.http.delete(self.url(path)).timeout(REQUEST_TIMEOUT)).await;
        answer.map(drop).map_err(|error| error.about(path))
    }

    /// Puts a document in the place of another and gets it back.
    pub async fn put(&self, path: &[&str], body: &Value) -> Result<Document, AdminError> {
        self.json(self.http.put(self.url(path)).json(body)).await
    }

    /// Opens a stream of server-sent events, behind the one that was seen last.
    pub async fn stream(&self, path: &[&str], query: &Query, last: &str) -> Result<Response, AdminError> {
        let request = self.http.get(self.url(path)).query(query);
        self.send(request.header(header::ACCEPT, "text/event-stream").header("last-event-id", last)).await
    }

    /// Gets at most `most` rows of a list, newest first, turning as many pages as it takes.
    pub async fn list(&self, path: &[&str], query: &Query, most: usize) -> Result<Vec<Document>, AdminError> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let wanted = most.saturating_sub(rows.len());
            let mut page = self.page(path, query, wanted, cursor.as_deref()).await?;
            rows.append(&mut page.data);
            cursor = page.next;
            if cursor.is_none() || rows.len() >= most {
                return Ok(rows);
            }
        }
    }

    /// Gets one page of a list, the one behind a cursor: at most `most` rows, and no more than [`PAGE_ROWS`].
    pub async fn page(
        &self,
        path: &[&str],
        query: &Query,
        most: usize,
        cursor: Option<&str>,
    ) -> Result<Page, AdminError> {
        let mut query = query.clone();
        let wanted = most.min(PAGE_ROWS);
        query.push(("limit".into(), wanted.to_string()));
        query.extend(cursor.map(|cursor| ("cursor".into(), cursor.to_owned())));
        let mut page: Page = self.read(&self.get(path, &query).await?)?;
        page.data.truncate(wanted);
        // A page without rows ends the list, whatever it says of a next one.
        page.next = page.next.filter(|_| !page.data.is_empty());
        Ok(page)
    }

    /// Reads a document as a type of the caller's.
    pub fn read<'a, T: Deserialize<'a>>(&self, document: &'a RawValue) -> Result<T, AdminError> {
        serde_json::from_str(document.get()).map_err(|_| AdminError::Strange { url: self.base.to_string() })
    }

    /// What to say of a connection that broke while its answer was read.
    pub fn broken(&self, error: reqwest::Error) -> AdminError {
        AdminError::Interrupted { url: self.base.to_string(), reason: root_cause(&error.without_url()) }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    async fn json(&self, request: RequestBuilder) -> Result<Document, AdminError> {
        self.document(request.timeout(REQUEST_TIMEOUT)).await
    }

    async fn document(&self, request: RequestBuilder) -> Result<Document, AdminError> {
        let response = self.send(request).await?;
        self.received(response).await
    }

    async fn received(&self, response: Response) -> Result<Document, AdminError> {
        let body = response.bytes().await.map_err(|error| self.broken(error))?;
        serde_json::from_slice(&body).map_err(|_| AdminError::Strange { url: self.base.to_string() })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, AdminError> {
        let response = match request.bearer_auth(self.token.expose_secret()).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let reason = root_cause(&error.without_url());
                return Err(AdminError::Unreachable { url: self.base.to_string(), reason });
            }
            Err(error) => return Err(self.broken(error)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        Err(AdminError::Refused(Problem::read(status, &body)))
    }
}

/// What a request under a key is answered.
#[derive(Debug)]
pub struct Once {
    /// The document.
    pub document: Document,
    /// Whether it is the answer of an earlier request: this one did nothing.
    pub before: bool,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Its rows, newest first.
    pub data: Vec<Document>,
    /// The cursor of the page behind it; none at the end.
    #[serde(default)]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{answer, answers};
    use wiremock::{MockServer, ResponseTemplate};

    fn admin(url: &str) -> Admin {
        Admin::new(url, "token-1".into()).unwrap()
    }

    #[tokio::test]
    async fn where_nobody_listens_the_address_and_the_remedy_are_told() {
        // The port was free a moment ago, and port 0 would be refused before anything is tried.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = admin(&url).get(&["events"], &Query::new()).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot reach {url}/ (Connection refused")), "{error}");
        assert!(error.contains("switchboard dev"), "{error}");
    }

    #[tokio::test]
    async fn refusals_and_strangers_are_told_apart() {
        let server = MockServer::start().await;
        let (admin, query) = (admin(&server.uri()), Query::new());
        answer(
            &server,
            "GET",
            "/api/v1/a",
            ResponseTemplate::new(302).insert_header("location", "/api/v1/b"),
        )
        .await;
        let error = admin.get(&["a"], &query).await.unwrap_err();
        assert_eq!(error.to_string(), "302 found");
        answer(&server, "GET", "/api/v1/b", ResponseTemplate::new(200).set_body_string("<html>")).await;
        let error = admin.get(&["b"], &query).await.unwrap_err();
        assert!(matches!(error, AdminError::Strange { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_address_may_have_a_path_and_parts_are_escaped() {
        let server = MockServer::start().await;
        answers(&server, "/ops/api/v1/messages/a%2Fb%3F", &serde_json::json!({})).await;
        let admin = admin(&format!("{}/ops/", server.uri()));
        assert_eq!(admin.get(&["messages", "a/b?"], &Query::new()).await.unwrap().get(), "{}");
    }

    #[test]
    fn an_address_must_be_one_and_hold_no_secret() {
        for url in ["", "localhost:8081", "ftp://host", "http://user:hunter2@host"] {
            let error = Admin::new(url, "token-1".into()).unwrap_err();
            assert!(error.is::<Usage>() && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_output_does_not_show_the_token() {
        assert!(!format!("{:?}", admin("http://127.0.0.1:1")).contains("token-1"));
    }
}
