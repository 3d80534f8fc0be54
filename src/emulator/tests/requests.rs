//! The requests that Connectly's pages show, sent as they stand there.

use std::fs;
use std::path::Path;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Bench, SESSION, TEMPLATE, settings};
use crate::emulator::{Inbound, Settings};

/// The customer of the pages' session messages, and the numbers that write to them.
const CUSTOMER: &str = "+16044441111";
const NUMBERS: [&str; 2] = ["+14151111234", "+11234567890"];

/// The requests under `tests/fixtures/requests/<folder>`, with their file names.
fn requests(folder: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/requests").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |file: &Path| serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    files.map(|file| (file.display().to_string(), read(&file))).collect()
}

/// The business of the pages. It knows only the templates that are approved.
async fn bench() -> Bench {
    let business_number = NUMBERS[0].to_owned();
    let bench = Bench::with(Settings { business_number, any_template: false, ..settings() }).await;
    for number in NUMBERS {
        let inbound = Inbound { to: Some(number.to_owned()), ..Inbound::text("hi").by(CUSTOMER) };
        bench.emulator.inbound(inbound).await.unwrap();
    }
    bench
}

#[tokio::test]
async fn every_request_of_the_pages_is_accepted() {
    let bench = bench().await;
    for (endpoint, folder, at_least) in [(SESSION, "session", 16), (TEMPLATE, "template", 10)] {
        let requests = requests(folder);
        assert!(requests.len() >= at_least, "{folder}");
        for (file, body) in requests {
            let (status, answer) = super::read(bench.post(endpoint, &body).await.unwrap()).await;
            assert_eq!(status, StatusCode::OK, "{file}: {answer}");
            assert_eq!(bench.emulator.messages().last().unwrap().body, body, "{file}");
        }
    }
}

#[tokio::test]
async fn a_number_that_is_named_is_the_one_that_sends() {
    let bench = bench().await;
    for (endpoint, folder, sender) in [(SESSION, "session", "/sender/id"), (TEMPLATE, "template", "/sender")]
    {
        for (file, body) in requests(folder) {
            bench.post(endpoint, &body).await.unwrap();
            let from = bench.emulator.messages().last().unwrap().from.clone();
            if let Some(named) = body.pointer(sender) {
                assert_eq!(named, &from, "{file}");
            }
        }
    }
}
