//! `events export` beside a server that takes events meanwhile.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::Value;

use super::support::dev::{Dev, binary};

/// More than two pages of the admin API.
const EVENTS: usize = 410;

/// The ids of an export to a pipe, in its order.
fn exported(dev: &Dev, filter: &[&str]) -> Vec<String> {
    let printed = dev.prints(&[&["events", "export"], filter].concat());
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    printed.lines().map(id).collect()
}

#[test]
fn an_export_is_whole_while_events_arrive() {
    let dev = Dev::start(&binary());
    let load = |rate: &str| dev.command(&["simulate", "load", "--rate", rate, "--seconds", "1"]);
    assert!(load(&EVENTS.to_string()).output().unwrap().status.success());
    let received = ["--type", "message.received"];
    let before = exported(&dev, &received);
    assert_eq!(before.len(), EVENTS);

    let mut more = load("200").stdout(Stdio::null()).spawn().unwrap();
    while exported(&dev, &received).len() == EVENTS {}
    let during = exported(&dev, &received);
    assert!(more.wait().unwrap().success());
    assert!(during.is_sorted_by(|newer, older| newer > older), "newest first, and each once");
    let during: BTreeSet<_> = during.into_iter().collect();
    assert!(before.iter().all(|id| during.contains(id)));
    dev.stop();
}

#[test]
fn a_file_is_csv_for_spreadsheets_and_its_filters_are_those_of_the_list() {
    let dev = Dev::start(&binary());
    for text in ["=1+1", "hi"] {
        dev.prints(&["simulate", "inbound", "--text", text]);
    }
    dev.read_message();
    let file = dev.folder.path().join("events.csv");
    let name = file.to_str().unwrap();
    let filter = ["--type", "message.received", "--since", "1h"];
    let line = [&["events", "export", "--format", "csv", "--output", name], &filter[..]].concat();
    let output = dev.run(&line);
    assert!(output.status.success() && output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("2 events in {name}\n"), "no progress where nobody looks");

    let mut reader = csv::Reader::from_path(&file).unwrap();
    let headings = reader.headers().unwrap().clone();
    let [text, phone] =
        ["text", "phone"].map(|name| headings.iter().position(|heading| heading == name).unwrap());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cells: Vec<_> = rows.iter().map(|row| (row[text].to_owned(), row[phone].to_owned())).collect();
    let customer = "'+15550100001".to_owned();
    assert_eq!(cells, [("hi".to_owned(), customer.clone()), ("'=1+1".to_owned(), customer)]);
    assert!(exported(&dev, &["--callback", "order_id=1"]).is_empty());
    dev.stop();
}
