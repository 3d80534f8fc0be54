//! P1: a 200 is sent only after the event is committed. Kill the process at any instant: nothing answered 200 is missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rstest::rstest;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::support::desk::{ECHO, client};
use crate::support::process::{Server, TOKEN};
use crate::support::webhooks::{CUSTOMER, inbound, sign};
use crate::support::{Backend, Database};

/// Kills per store. The long run is a harness of its own.
const KILLS: u64 = 3;
/// Clients that post at the same time.
const CLIENTS: u64 = 16;
/// How many answers of 200 a process is killed after: at another point of its work each time.
const ANSWERS: [u64; 3] = [40, 155, 301];

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_nothing_answered_200_is_missing_after_a_kill(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = Database::fresh(backend).await;
    let http = client();
    let number = Arc::new(AtomicU64::new(0));
    let mut acknowledged = BTreeSet::new();
    for kill in 0..KILLS {
        let mut server = Server::start(&database.url, "http://127.0.0.1:1", "", "warn,switchboard::app=info");
        let answers = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(post_until_dead(
                http.clone(),
                server.webhook_url(),
                Arc::clone(&number),
                Arc::clone(&answers),
            ));
        }
        let enough = ANSWERS[usize::try_from(kill).unwrap()];
        while answers.load(Ordering::SeqCst) < enough {
            tokio::task::yield_now().await;
        }
        server.kill();
        for client in clients.join_all().await {
            acknowledged.extend(client);
        }
    }
    let server = Server::start(&database.url, "http://127.0.0.1:1", "", "warn,switchboard::app=info");
    let stored = stored(&http, &server).await;
    let missing: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(acknowledged.len() > 400, "only {} were answered", acknowledged.len());
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), acknowledged.len());
}

/// Posts one delivery after the other until nobody answers; the ids that were answered 200.
async fn post_until_dead(
    http: reqwest::Client,
    url: String,
    number: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let number = number.fetch_add(1, Ordering::SeqCst);
        let body = inbound(CUSTOMER, &format!("id-{number}"), "2026-01-01T00:00:00Z".parse().unwrap(), "hi");
        let signature = sign(body.as_bytes());
        let answer = http.post(&url).header("x-connectly-hmac-sha256", signature).body(body).send().await;
        let Ok(answer) = answer else { return acknowledged };
        assert_eq!(answer.status(), 200);
        let Ok(answer) = answer.json::<serde_json::Value>().await else {
            return acknowledged;
        };
        acknowledged.push(answer["id"].as_str().unwrap().to_owned());
        answers.fetch_add(1, Ordering::SeqCst);
    }
}

async fn stored(http: &reqwest::Client, server: &Server) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let url = format!("http://{}/api/v1/events?limit=200{cursor}", server.admin);
        let page: serde_json::Value =
            http.get(url).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap();
        ids.extend(
            page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// A database whose default is to answer before the disk has it; what each of our sessions has instead is noted where it
/// writes.
#[tokio::test]
async fn p1_commits_wait_for_the_disk_whatever_the_server_is_set_to() {
    let database = Database::fresh(Backend::Postgres).await;
    let mut session = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$;
         CREATE TABLE noted (setting text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER INSERT ON events EXECUTE FUNCTION note();
         CREATE TRIGGER note AFTER INSERT ON outcomes EXECUTE FUNCTION note();",
    )
    .execute(&mut session)
    .await
    .unwrap();
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    let default: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut other).await.unwrap();
    assert_eq!(default, "off");
    let server = Server::start(&database.url, "http://127.0.0.1:1", ECHO, "info");
    let body = inbound(CUSTOMER, "id-1", "2026-01-01T00:00:00Z".parse().unwrap(), "hi");
    let request =
        client().post(server.webhook_url()).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    let noted = "SELECT count(*), count(*) FILTER (WHERE setting = 'on') FROM noted";
    // The event's commit, and that of the completed job.
    loop {
        let (all, on): (i64, i64) = sqlx::query_as(noted).fetch_one(&mut session).await.unwrap();
        assert_eq!(all, on);
        if on >= 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
}
