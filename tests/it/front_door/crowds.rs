//! Many clients at once against the real program, with the open files it may have.

use futures_util::{StreamExt as _, stream};
use reqwest::{Client, StatusCode};
use switchboard::clock::Clock;
use switchboard::http::server::room_for;
use tokio::net::TcpStream;

use crate::support::desk::{client, client_builder};
use crate::support::process::{Server, TOKEN};
use crate::support::webhooks::{inbound, sign};
use crate::support::{Backend, Database};

/// Nobody listens there, and nobody is sent anything.
const NO_CONNECTLY: &str = "http://127.0.0.1:9";

/// A client that makes a new connection for each request, among all the others.
fn newcomer() -> Client {
    client_builder().pool_max_idle_per_host(0).build().unwrap()
}

async fn deliver(client: &Client, server: &Server, number: usize) -> StatusCode {
    let body = inbound("+15550100001", &format!("id-{number}"), Clock::system().now(), "hi");
    let post = client.post(server.webhook_url()).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
    post.body(body).send().await.unwrap().status()
}

async fn metrics(server: &Server) -> String {
    let url = format!("http://{}/metrics", server.admin);
    client().get(url).bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap()
}

fn figure(metrics: &str, name: &str) -> u64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{name} is not in\n{metrics}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let database = Database::fresh(Backend::Sqlite).await;
    let server = Server::start(&database.url, NO_CONNECTLY, "", "info");
    let before = server.resident_kib();
    // As many as this process may have, which holds the other ends.
    let crowd = room_for(10_000);
    assert!(crowd >= 500, "`ulimit -n` allows only {crowd} connections");
    let address = server.public;
    let connecting = stream::iter(0..crowd).map(|_| TcpStream::connect(address)).buffer_unordered(64);
    let idle: Vec<TcpStream> = connecting.map(Result::unwrap).collect().await;
    let newcomer = newcomer();
    for number in 0..20 {
        assert_eq!(deliver(&newcomer, &server, number).await, 200);
    }
    let text = metrics(&server).await;
    let open = figure(&text, "switchboard_connections{listener=\"public\"} ");
    assert!(open <= 10_000, "{open}");
    let each = (server.resident_kib() - before) / crowd as u64;
    assert!(each <= 32, "an idle connection takes {each} KiB");
    drop(idle);
    assert_eq!(deliver(&newcomer, &server, 20).await, 200);
    let (ended_well, log) = server.stop();
    assert!(ended_well, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bad_signatures_is_counted_and_not_logged() {
    const FLOOD: usize = 3_000;
    let database = Database::fresh(Backend::Sqlite).await;
    let server = Server::start(&database.url, NO_CONNECTLY, "", "info,switchboard=debug");
    let lines = server.log().lines().count();
    let (client, newcomer, url) = (client(), newcomer(), server.webhook_url());
    let wrong = sign(b"something else");
    let posts = stream::iter(0..FLOOD).map(|number| {
        let post = client.post(&url).header("x-connectly-hmac-sha256", &wrong);
        post.body(format!("{{\"n\":{number}}}")).send()
    });
    let flood = posts.buffer_unordered(64).for_each(async |answer| assert_eq!(answer.unwrap().status(), 401));
    let honest = async {
        for number in 0..20 {
            assert_eq!(deliver(&newcomer, &server, number).await, 200);
        }
    };
    tokio::join!(flood, honest);
    let text = metrics(&server).await;
    let reason = "switchboard_rejected_signatures_total{reason=\"mismatch\"} ";
    assert_eq!(figure(&text, reason), FLOOD as u64);
    assert_eq!(figure(&text, "switchboard_webhook_answers_total{status=\"200\"} "), 20);
    let grown = server.log().lines().count() - lines;
    assert!(grown < FLOOD / 10, "{grown} lines were logged");
}
