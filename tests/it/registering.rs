//! `webhooks` beside `dev`, as a person types it: what is registered is where events come from then on.

use serde_json::Value;

use super::support::dev::{Dev, binary};

#[test]
fn dev_is_registered_at_its_emulator_and_hears_its_own_messages() {
    let dev = Dev::start(&binary());
    let registered = dev.json(&["webhooks", "register", "--echo"]);
    assert_eq!(registered[0]["result"], "created");
    let left = std::fs::read(dev.folder.path().join(".switchboard/connection.json")).unwrap();
    let left: Value = serde_json::from_slice(&left).unwrap();
    assert_eq!(registered[0]["address"], left["webhook_url"]);
    dev.prints(&["simulate", "inbound", "--text", "hi"]);
    let message = dev.read_message();
    let echoes = dev.json(&["events", "list", "--type", "message.echo"]);
    assert_eq!(echoes.as_array().unwrap().len(), 1, "{echoes}");
    assert_eq!(echoes[0]["message_id"], message["id"]);
    // An echo is of a message that is known already, and nobody answers it.
    assert_eq!(dev.json(&["messages", "list"]).as_array().unwrap().len(), 1);
    // Without a registration for it, a topic goes nowhere.
    dev.prints(&["webhooks", "delete", "--topic", "messages", "--yes"]);
    let output = dev.run(&["simulate", "inbound", "--text", "again"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody is registered for it"));
    assert_eq!(dev.json(&["events", "list", "--type", "message.received"]).as_array().unwrap().len(), 1);
    // `check` is about what `serve` would be given, and says so.
    let output = dev.run(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`dev`, which runs here"));
    dev.stop();
}

#[test]
fn the_address_of_the_server_is_not_taken_for_the_webhooks() {
    let dev = Dev::start(&binary());
    let with_server = |line: &[&str]| {
        let output = dev.command(line).env("SWITCHBOARD_URL", "http://127.0.0.1:1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let registered = with_server(&["webhooks", "register", "--topic", "report", "--json"]);
    assert!(registered[0]["address"].as_str().unwrap().ends_with("/webhooks/connectly"), "{registered}");
    let told =
        ["webhooks", "register", "--topic", "report", "--json", "--yes", "--url", "http://127.0.0.1:2/x"];
    let registered = with_server(&told);
    assert_eq!(
        (&registered[0]["result"], &registered[0]["address"]),
        (&"updated".into(), &"http://127.0.0.1:2/x".into())
    );
    dev.stop();
}
