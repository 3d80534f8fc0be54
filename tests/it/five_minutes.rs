//! The first five minutes: `dev`, then the other commands in the same folder, as the README shows them.

use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use rstest::rstest;

use super::support::dev::{Dev, binary};

/// The 15-line program of the library's documentation, as a user would build it.
fn greeter() -> PathBuf {
    binary().with_file_name("examples").join("greeter")
}

#[rstest]
#[case::the_example_route(binary(), "Hello Ana! You said: hi")]
#[case::a_registered_handler(greeter(), "Hello! We will be with you shortly.")]
fn dev_answers_the_first_message(#[case] program: PathBuf, #[case] answer: &str) {
    let dev = Dev::start(&program);
    let printed = dev.prints(&["simulate", "inbound", "--text", "hi"]);
    let id = printed.trim().strip_prefix("event ").unwrap().to_owned();
    let message = dev.read_message();
    assert_eq!(message["content"]["text"], answer);

    assert_eq!(dev.json(&["events", "show", &id])["content"]["text"], "hi");
    let timeline = dev.json(&["messages", "show", message["id"].as_str().unwrap()])["timeline"].clone();
    let states: Vec<_> = timeline.as_array().unwrap().iter().map(|entry| entry["state"].clone()).collect();
    assert_eq!(states, ["queued", "accepted", "sent", "delivered", "read"]);
    assert_eq!(dev.json(&["events", "list"]).as_array().unwrap().len(), 4);
    assert_eq!(dev.json(&["jobs", "list", "--state", "done"]).as_array().unwrap().len(), 2);
    dev.stop();
}

#[test]
fn messages_are_sent_and_followed() {
    let dev = Dev::start(&binary());
    // Nobody has written to any number of the business, so none can be chosen: it has to be said which.
    let first = dev.run(&["messages", "send", "text", "+15550100001", "hello"]);
    assert_eq!(first.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&first.stderr).contains("422"), "{first:?}");
    dev.prints(&["simulate", "inbound", "--text", "hi"]);
    let send = |line: &[&str]| dev.prints(&[&["messages", "send"], line, &["--wait"]].concat());
    assert!(send(&["text", "+15550100001", "hello"]).contains("  said           hello\n"));
    let order = ["--language", "en", "--parameter", "body_1=Ben", "--parameter", "body_2=12345"];
    let sent = send(&[&["template", "+15550100007", "order_update"][..], &order].concat());
    assert!(sent.contains("[order_update] Ben, 12345"), "{sent}");
    let fallback = ["--fallback-template", "reopen", "--fallback-language", "en"];
    let sent = send(&[&["text", "+15550100007", "hello"][..], &fallback].concat());
    assert!(sent.contains("so the template goes out instead: [reopen]"), "{sent}");
    let late = dev.run(&["messages", "send", "text", "+15550100007", "hello", "--wait"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&late.stdout).contains("expired"), "{late:?}");
    let file = dev.folder.path().join("request.json");
    std::fs::write(&file, r#"{"to": "+15550100001", "message": {"text": "from a file"}}"#).unwrap();
    let again =
        || dev.json(&["messages", "send", "file", file.to_str().unwrap(), "--idempotency-key", "file-1"]);
    assert_eq!(again()["id"], again()["id"]);
    dev.stop();
}

/// A way to the server on which the first answer is lost.
fn losing_the_first_answer(server: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = server.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().map_while(Result::ok).enumerate() {
            let behind = TcpStream::connect(&server).unwrap();
            let (mut asks, mut asked) = (client.try_clone().unwrap(), behind.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asks, &mut asked));
            if number == 0 {
                // It was answered, so it was done.
                assert_eq!((&behind).read(&mut [0]).unwrap(), 1);
                client.shutdown(Shutdown::Both).unwrap();
            } else {
                std::thread::spawn(move || std::io::copy(&mut &behind, &mut &client));
            }
        }
    });
    url
}

#[test]
fn a_lost_answer_is_asked_for_again_and_the_message_is_sent_once() {
    let dev = Dev::start(&binary());
    dev.prints(&["simulate", "inbound", "--text", "hi"]);
    let answered = dev.read_message();
    let connection = std::fs::read(dev.folder.path().join(".switchboard/connection.json")).unwrap();
    let connection: serde_json::Value = serde_json::from_slice(&connection).unwrap();
    let relay = losing_the_first_answer(connection["admin_url"].as_str().unwrap());
    let mut command =
        dev.command(&["messages", "send", "text", "+15550100001", "hello", "--wait", "--url", &relay]);
    let sent =
        command.env("SWITCHBOARD_ADMIN_TOKEN", connection["admin_token"].as_str().unwrap()).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    assert!(String::from_utf8_lossy(&sent.stderr).contains("asking again under the same key"), "{sent:?}");
    let messages = dev.json(&["messages", "list"]);
    let texts: Vec<_> =
        messages.as_array().unwrap().iter().map(|message| &message["content"]["text"]).collect();
    assert_eq!(texts, ["hello", answered["content"]["text"].as_str().unwrap()]);
    dev.stop();
}

#[test]
fn statuses_and_files_can_be_simulated() {
    let dev = Dev::start(&binary());
    dev.prints(&["simulate", "status", "--id", "01K00000000000000000000001", "--status", "read"]);
    let message = dev.json(&["messages", "show", "01K00000000000000000000001"]);
    assert_eq!((message["state"].clone(), message["origin"].clone()), ("read".into(), "observed".into()));
    let body = dev.folder.path().join("body.json");
    std::fs::write(&body, r#"{"topic":"weather"}"#).unwrap();
    let twice = || dev.prints(&["simulate", "file", body.to_str().unwrap(), "--exact"]);
    assert!(!twice().contains("duplicate"));
    assert!(twice().contains("(duplicate)"));
    dev.stop();
}

#[test]
fn every_shape_can_be_tried() {
    let dev = Dev::start(&binary());
    let event = |line: &[&str]| {
        let printed = dev.prints(&[&["simulate"], line].concat());
        dev.json(&["events", "show", printed.trim().strip_prefix("event ").unwrap()])
    };
    event(&["inbound", "--text", "hi"]);
    let answer = dev.read_message();
    let answered = answer["provider_message_id"].as_str().unwrap();
    for (line, kind) in [
        (&["--image", "https://example.com/a.jpg", "--caption", "This one"][..], "image"),
        (&["--location", "-33.9,18.4", "--from", "+15550100009"], "location"),
        (&["--button", "Yes", "--payload", "confirm"], "button_reply"),
        (&["--list", "Large", "--payload", "size-l"], "list_reply"),
        (&["--reaction", "👍", "--to-message", answered], "reaction"),
        (&["--sticker", "https://example.com/a.webp"], "other"),
    ] {
        let event = event(&[&["inbound"], line].concat());
        assert_eq!((&event["type"], &event["content"]["kind"]), (&"message.received".into(), &kind.into()));
        assert!(kind != "reaction" || event["in_reply_to"] == answered, "{event}");
    }
    // A place opens the window as words do.
    dev.prints(&["messages", "send", "text", "+15550100009", "Found it", "--wait"]);
    let phoneless = event(&["inbound", "--text", "hi", "--user-id", "US.1349"]);
    assert_eq!(
        (&phoneless["customer"]["user_id"], &phoneless["customer"]["phone"]),
        (&"US.1349".into(), &().into())
    );
    for (line, name) in [
        (&["echo", "--text", "This is Eva"][..], "message.echo"),
        (&["report"], "report.completed"),
        (&["unknown"], "unknown"),
    ] {
        assert_eq!(event(line)["type"], name);
    }
    dev.stop();
}

#[test]
fn a_second_dev_in_the_same_folder_is_refused() {
    let dev = Dev::start(&binary());
    let second = dev.run(&["dev"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    // The first is still found by the other commands.
    dev.prints(&["events", "list"]);
    dev.stop();
}

#[rstest]
#[case::serve_without_configuration(&["serve"], "admin.token")]
#[case::an_unknown_command(&["dance"], "unrecognized subcommand")]
#[case::no_server(&["events", "list"], "no running server is known")]
fn wrong_usage_ends_with_2_and_says_what_to_do(#[case] line: &[&str], #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(binary()).args(line).current_dir(&folder).env_clear().output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains(says), "{said}");
}

#[test]
fn serve_says_every_problem_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let config = "[admin]\ntoken = \"\"\n[[routes]]\nname = \"a\"\non = [\"message.*\"]\nhandler = \"nobody\"\nwhen = \"event.\"\n";
    std::fs::write(&file, config).unwrap();
    let run = Command::new(binary()).args(["serve", "--config"]).arg(&file).env_clear().output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8_lossy(&run.stderr);
    for key in ["admin.token", "store.url", "accounts.default", "routes.a.handler", "routes.a.when"] {
        assert!(said.contains(key), "{key}: {said}");
    }
}
