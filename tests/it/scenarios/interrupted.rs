//! What is broken off half-way: by the client, by the receiver, by the store.

use rstest::rstest;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::desk::{ECHO, client};
use crate::support::process::{Server, TOKEN};
use crate::support::webhooks::{CUSTOMER, inbound, sign};
use crate::support::{Backend, Database, Desk};

/// The client waits no longer, although all that it sent was read; then it comes again.
#[rstest]
#[tokio::test]
async fn a_client_that_gave_up_and_retries_makes_one_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    let body = inbound(CUSTOMER, "id-1", desk.clock.now(), "hi");
    let request = format!(
        "POST /webhooks/connectly HTTP/1.1\r\nhost: localhost\r\nx-connectly-hmac-sha256: {}\r\n\
         content-length: {}\r\n\r\n{body}",
        sign(body.as_bytes()),
        body.len()
    );
    let mut connection = TcpStream::connect(desk.running.public_address()).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    drop(connection);
    while desk.list("events").await.is_empty() {
        tokio::task::yield_now().await;
    }
    let again: Value = desk.post(body).await.json().await.unwrap();
    assert_eq!(again["duplicate"], true);
    desk.settled().await;
    let events = desk.list("events").await;
    assert_eq!((events.len(), &events[0]["duplicates"]), (1, &1.into()));
    assert_eq!(desk.list("messages").await.len(), 1);
    desk.stop().await;
}

/// Answered and killed; nobody there; there again: the same delivery each time, and one event.
#[rstest]
#[tokio::test]
async fn a_delivery_is_repeated_over_a_restart(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = Database::fresh(backend).await;
    let start = || Server::start(&database.url, "http://127.0.0.1:1", "", "info");
    let http = client();
    let body = inbound(CUSTOMER, "id-1", "2026-01-01T00:00:00Z".parse().unwrap(), "hi");
    let post = async |url: String| {
        let signed = http.post(url).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
        signed.body(body.clone()).send().await?.json::<Value>().await
    };
    let mut server = start();
    let first = post(server.webhook_url()).await.unwrap();
    server.kill();
    assert!(post(server.webhook_url()).await.is_err());
    let server = start();
    let second = post(server.webhook_url()).await.unwrap();
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&false.into(), &true.into()));
    assert_eq!(first["id"], second["id"]);
}

/// The request left, and nobody lived to hear the answer. It is not sent again, and the message says that nobody knows.
#[rstest]
#[tokio::test]
async fn a_crash_after_a_send_leaves_an_honest_doubt(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = Database::fresh(backend).await;
    let connectly = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", connectly.local_addr().unwrap());
    let config = format!("[worker]\nlease = \"1s\"\npoll = \"50ms\"\n{ECHO}");
    let start = || Server::start(&database.url, &url, &config, "info");
    let http = client();
    let body = inbound(CUSTOMER, "id-1", switchboard::clock::Clock::system().now(), "hi");
    let mut server = start();
    let signed = http.post(server.webhook_url()).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
    assert_eq!(signed.body(body).send().await.unwrap().status(), 200);
    let (mut request, _) = connectly.accept().await.unwrap();
    assert!(request.read(&mut [0; 1024]).await.unwrap() > 0);
    server.kill();
    let server = start();
    loop {
        let messages = http.get(format!("http://{}/api/v1/messages", server.admin)).bearer_auth(TOKEN);
        let messages: Value = messages.send().await.unwrap().json().await.unwrap();
        match messages["data"][0]["state"].as_str().unwrap() {
            "unconfirmed" => break,
            state => assert!(["queued", "sending"].contains(&state), "{state}"),
        }
        tokio::task::yield_now().await;
    }
    let again = tokio::time::timeout(std::time::Duration::from_millis(300), connectly.accept()).await;
    assert!(again.is_err(), "it was sent again");
}

/// The store refuses the event after its dedupe row was written: neither is kept, and the repeat is new.
#[rstest]
#[tokio::test]
async fn a_commit_that_failed_does_not_count_as_seen(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    let body = inbound(CUSTOMER, "id-1", desk.clock.now(), "hi");
    refuse_events(&desk, backend, true).await;
    assert_eq!(desk.post(body.clone()).await.status(), 503);
    refuse_events(&desk, backend, false).await;
    let answer: Value = desk.post(body).await.json().await.unwrap();
    assert_eq!(answer["duplicate"], false);
    desk.settled().await;
    let events = desk.list("events").await;
    assert_eq!((events.len(), &events[0]["duplicates"]), (1, &0.into()));
    assert_eq!(desk.list("messages").await.len(), 1);
    desk.stop().await;
}

/// Makes the database refuse every event, or take them again.
async fn refuse_events(desk: &Desk, backend: Backend, refuse: bool) {
    let url = desk.database_url();
    match backend {
        Backend::Sqlite => {
            let sql = if refuse {
                "CREATE TRIGGER refuse BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'refused'); END"
            } else {
                "DROP TRIGGER refuse"
            };
            let mut database = SqliteConnection::connect(url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
        }
        Backend::Postgres => {
            let sql = if refuse {
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
                 CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()"
            } else {
                "DROP TRIGGER refuse ON events"
            };
            let mut database = PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
        }
    }
}
