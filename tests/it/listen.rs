//! `listen` beside a server and a program that checks signatures.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use reqwest::header::HeaderValue;
use secrecy::SecretString;
use serde_json::Value;
use switchboard::connectly::signature::{HEADER, Key, verify};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::support::dev::{Dev, binary, interrupt};

/// `listen` as a process, following the events from its start on.
struct Listen {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Listen {
    fn start(dev: &Dev, line: &[&str]) -> Self {
        let mut command = dev.command(&[&["listen", "--forward-to"], line].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(said.next().as_deref(), Some("listening; Ctrl-C ends it"));
        // Read to the end, or it could not say more.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, out }
    }

    /// The next line, as words.
    fn next(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program with Connectly's check: 200 for what is signed, and 401 for the rest; it breaks on one text.
async fn program(key: Key) -> MockServer {
    let program = MockServer::start().await;
    let check = move |request: &Request| {
        let header = request.headers.get(HEADER).map(HeaderValue::as_bytes);
        match verify(std::slice::from_ref(&key), header, request.body.clone().into()) {
            Ok(body) if body.bytes().windows(5).any(|bytes| bytes == b"crash") => ResponseTemplate::new(500),
            Ok(_) => ResponseTemplate::new(200),
            Err(_) => ResponseTemplate::new(401),
        }
    };
    Mock::given(any()).respond_with(check).mount(&program).await;
    program
}

#[tokio::test]
async fn a_program_gets_live_events_and_its_own_check_runs() {
    let dev = Dev::start(&binary());
    let left = std::fs::read(dev.folder.path().join(".switchboard/connection.json")).unwrap();
    let left: Value = serde_json::from_slice(&left).unwrap();
    let key = Key::new(&SecretString::from(left["webhook_secret"].as_str().unwrap()));
    let program = program(key).await;
    let mut listen = Listen::start(&dev, &[&program.uri(), "--type", "message.received"]);
    let says = |text| {
        let printed = dev.prints(&["simulate", "inbound", "--text", text]);
        printed.trim().strip_prefix("event ").unwrap().to_owned()
    };
    for (text, status) in [("hi", "200"), ("crash", "500"), ("bye", "200")] {
        let id = says(text);
        let line = listen.next();
        assert_eq!(line[..3], [id.as_str(), "message.received", status]);
        assert_eq!(line[4], "ms");
        let requests = program.received_requests().await.unwrap();
        assert_eq!(dev.run(&["events", "body", &id]).stdout, requests.last().unwrap().body);
    }
    // Neither the answers of the example route nor their statuses, and nothing twice.
    assert_eq!(program.received_requests().await.unwrap().len(), 3);
    interrupt(&mut listen.child);
    assert!(listen.next().is_empty(), "nothing else was said");
    dev.stop();
}
