//! The same service without groups: it commits each request by itself, with the library's own store. It shows what committing
//! in groups is worth, so it is a mode of this benchmark and none of the product.

use std::process::Command;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use bytes::Bytes;
use secrecy::SecretString;
use switchboard::clock::Clock;
use switchboard::connectly::signature::{self, Key};
use switchboard::model::id::EventId;
use switchboard::store::arrival::Arrival;
use switchboard::store::{OpenOptions, Store, open};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::service::Service;
use crate::webhooks::SECRET;

/// The argument with which this program starts itself as that service.
pub(crate) const WORD: &str = "serve-naive";

/// Commits that may be under way on PostgreSQL: each needs a connection of its own.
const CONNECTIONS: u32 = 32;

#[derive(Clone)]
struct Naive {
    store: Arc<dyn Store>,
    keys: Arc<[Key]>,
    clock: Clock,
    /// Commits that may be under way.
    commits: Arc<Semaphore>,
}

/// Starts it as a process of its own.
pub(crate) fn start(database: &str) -> Service {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args([WORD, database]).env_clear();
    Service::start(program)
}

/// Serves until it is killed. As many threads as the product has.
pub(crate) fn run(database: &str) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(serve(database));
}

async fn serve(database: &str) {
    let clock = Clock::system();
    let options = OpenOptions { migrate: true, connections: CONNECTIONS };
    let store = open(database, &options, clock.clone()).await.unwrap();
    let keys = [Key::new(&SecretString::from(SECRET))].into();
    // Those that wait for SQLite's writer would share a commit.
    let at_a_time = if database.starts_with("sqlite:") { 1 } else { CONNECTIONS as usize };
    let commits = Arc::new(Semaphore::new(at_a_time));
    let router = Router::new().route("/webhooks/connectly", post(accept)).with_state(Naive {
        store,
        keys,
        clock,
        commits,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("ready {}", listener.local_addr().unwrap());
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn accept(State(naive): State<Naive>, headers: HeaderMap, body: Bytes) -> Response {
    let header = headers.get(signature::HEADER).map(HeaderValue::as_bytes);
    let Ok(verified) = signature::verify(&naive.keys, header, body) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let id = EventId::new(naive.clock.ulid());
    let arrival = Arrival::read(id, "default".to_owned(), naive.clock.now(), verified.bytes().clone());
    let committed = {
        let _turn = naive.commits.acquire().await.unwrap();
        naive.store.commit(&[arrival]).await
    };
    match committed {
        Ok(receipts) => {
            let answer = serde_json::json!({ "id": receipts[0].id, "duplicate": receipts[0].duplicate });
            Json(answer).into_response()
        }
        Err(error) => {
            eprintln!("a delivery was not committed: {error}");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
