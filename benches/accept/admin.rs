//! What the admin API tells of a running process.

use serde_json::Value;

use crate::process::{Server, TOKEN};

/// Whether any job is unfinished.
pub(crate) async fn has_work(server: &Server) -> bool {
    let jobs = get(server, "jobs?limit=1").await;
    jobs["data"].as_array().is_some_and(|jobs| !jobs.is_empty())
}

/// Deliveries of its only route that wait or are with a handler.
pub(crate) async fn deliveries_left(server: &Server) -> i64 {
    let routes = get(server, "routes").await;
    let count = |state: &str| routes["data"][0][state].as_i64().unwrap();
    count("ready") + count("running")
}

async fn get(server: &Server, path: &str) -> Value {
    switchboard::connectly::client::install_crypto_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = http.get(format!("http://{}/api/v1/{path}", server.admin)).bearer_auth(TOKEN);
    asked.send().await.unwrap().json().await.unwrap()
}
