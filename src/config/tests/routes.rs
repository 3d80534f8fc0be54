//! Routes and rules.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::{Config, Environment, Login, RouteConfig, RouteOrdering};
use super::{config, problems};

#[test]
fn a_route_with_rules() {
    let text = r#"
        [[routes]]
        name = "front-desk"
        on = ["message.received", "message.*", "*"]
        when = "true"
        handler = "rules"
        ordering = "none"
        timeout = "5s"
        concurrency = 2
        retry = { attempts = 3 }

          [[routes.rules]]
          name = "stop"
          match = { text = ["stop", "+1"], keyword = ["unsubscribe"] }
          effects = ["opt_out", "opt_in", "mute:2h"]
          reply = { text = "bye", n = 1, f = 1.5, b = true, d = 2026-01-01, l = [{ a = "x" }] }
          callback_data = "00123"
          fallback = { template = "reopen", language = "en", parameters = [{ name = "body_1", value = "x" }] }

          [[routes.rules]]
          match = { any = true }
    "#;
    let routes = config(text, &[]).routes;
    let route = &routes[0];
    assert_eq!((route.name.as_str(), route.handler.as_str()), ("front-desk", "rules"));
    assert_eq!(route.on, ["message.received", "message.*", "*"]);
    assert_eq!(route.when.as_deref(), Some("true"));
    assert_eq!(route.ordering, RouteOrdering::None);
    assert_eq!((route.timeout, route.concurrency), (Duration::from_secs(5), 2));
    assert_eq!((route.retry.attempts, route.retry.max_age), (3, Duration::from_mins(10)));
    assert_eq!(route.key("when"), "routes.front-desk.when");
    let [stop, any] = route.rules.as_slice() else { panic!("two rules") };
    assert_eq!(stop.name.as_deref(), Some("stop"));
    assert_eq!((stop.matches.text.len(), stop.matches.keyword.len()), (2, 1));
    assert_eq!(stop.effects, ["opt_out", "opt_in", "mute:2h"]);
    let reply = json!({"text": "bye", "n": 1, "f": 1.5, "b": true, "d": "2026-01-01", "l": [{"a": "x"}]});
    assert_eq!(stop.reply, Some(reply));
    assert_eq!(stop.callback_data, Some(json!("00123")));
    let parameters = json!([{"name": "body_1", "value": "x"}]);
    let fallback = json!({"template": "reopen", "language": "en", "parameters": parameters});
    assert_eq!(stop.fallback, Some(fallback));
    assert!(any.matches.any && any.name.is_none() && any.reply.is_none());
}

#[test]
fn what_is_wrong_with_routes() {
    let text = r#"
        [[routes]]
        [[routes]]
        name = "Front Desk"
        on = []
        handler = ""
        [[routes]]
        name = "twice"
        on = ["message.recieved", "*"]
        handler = "greeter"
        url = "https://x"
        secrets = ["s"]
        rules = [{ match = { any = true } }]
        ordering = "strict"
        retry = { attempts = 0, age = "1s" }
        [[routes]]
        name = "twice"
        on = "*"
        handler = "rules"
        rules = []
        max_age = "1s"
    "#;
    insta::assert_snapshot!(problems(text, &[]), @r#"
    routes[0].name: missing, expected 1 to 64 of the letters a-z, 0-9, - and _
    routes[0].on: missing, expected some of message.received, message.echo, message.sent, message.delivered, message.read, message.failed, report.completed, unknown, message.*, *
    routes[0].handler: missing, expected `rules` or the name of a registered handler
    routes.Front Desk.name: found "Front Desk", expected 1 to 64 of the letters a-z, 0-9, - and _
    routes.Front Desk.on: found an empty list, expected some of message.received, message.echo, message.sent, message.delivered, message.read, message.failed, report.completed, unknown, message.*, *
    routes.Front Desk.handler: found "", expected a non-empty string in quotes
    routes.twice.on: found "message.recieved", expected some of message.received, message.echo, message.sent, message.delivered, message.read, message.failed, report.completed, unknown, message.*, *
    routes.twice.url: means something with handler = "http" or "nats" only
    routes.twice.secrets: means something with handler = "http" only
    routes.twice.rules: means something with handler = "rules" only
    routes.twice.ordering: found "strict", expected "conversation" or "none"
    routes.twice.retry.attempts: found 0, expected a whole number from 1 to 100
    routes.twice.retry.age: unknown key; expected attempts, max_age
    routes.twice.on: found "*", expected a list of non-empty strings
    routes.twice.rules: missing, expected at least one [[routes.rules]]
    routes.twice.max_age: unknown key; expected name, on, when, handler, url, secrets, secrets_file, headers, allow_private, ordering, timeout, concurrency, retry, rules, url_file, subject, credentials_file
    routes.twice.name: another route has this name, expected a unique one
    "#);
    assert_eq!(
        problems("[routes]\nname = \"x\"", &[]),
        "routes: found a table, expected tables under [[routes]]"
    );
}

#[test]
fn what_is_wrong_with_rules() {
    let text = r#"
        [[routes]]
        name = "desk"
        on = ["message.received"]
        handler = "rules"
        [[routes.rules]]
        match = {}
        callback_data = 1
        [[routes.rules]]
        name = "twice"
        match = { text = [], keyword = ["a", 1], any = false, txt = "x" }
        reply = "hello"
        effects = ["mute", "opt_out"]
        [[routes.rules]]
        name = "twice"
        reply = { text = "x" }
        callback_data = { switchboard = 1 }
        fallback = { template = "t", parameters = "p" }
    "#;
    insta::assert_snapshot!(problems(text, &[]), @r#"
    routes.desk.rules[0].match: found an empty table, expected at least one of any, text, keyword, regex, button, first_contact, hours
    routes.desk.rules[0].callback_data: means something beside `reply` only
    routes.desk.rules.twice.match.any: found false, which never holds; expected true
    routes.desk.rules.twice.match.text: found an empty list, expected at least one string
    routes.desk.rules.twice.match.keyword: found ["a", 1], expected a list of non-empty strings
    routes.desk.rules.twice.match.txt: unknown key; did you mean `text`?
    routes.desk.rules.twice.reply: found a string, expected a message such as { text = "..." }
    routes.desk.rules.twice.effects: found "mute", expected "opt_out", "opt_in" or "mute:" and a duration
    routes.desk.rules.twice.match: missing, expected at least one of any, text, keyword, regex, button, first_contact, hours
    routes.desk.rules.twice.callback_data: holds the key `switchboard`, which is kept for our own mark
    routes.desk.rules.twice.fallback.language: missing, expected a language such as "en"
    routes.desk.rules.twice.fallback.parameters: found a string, expected a list
    routes.desk.rules.twice.name: another rule of this route has this name, expected a unique one
    "#);
}

#[test]
fn what_an_answer_is_given_once_by_needs_a_name() {
    let text = r#"
        [[routes]]
        name = "desk"
        on = ["*"]
        handler = "rules"
        [[routes.rules]]
        match = { regex = "a", button = "b", first_contact = true, hours = "outside" }
        once_per = "12h"
    "#;
    insta::assert_snapshot!(problems(text, &[]), @"routes.desk.rules[0].name: missing, expected one beside `once_per`: uses are counted by it");
}

#[test]
fn the_settings_of_http_routes_are_read_and_hidden() {
    let text = r#"
        [[routes]]
        name = "orders"
        on = ["message.failed"]
        handler = "http"
        url = "https://orders.internal/connectly/"
        secrets = ["hunter2"]
        headers = { x-team = "orders", authorization = "Bearer hunter2" }
        allow_private = true
    "#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(Some(&path), &Environment::default()).unwrap().config;
    let route: &RouteConfig = &config.routes[0];
    assert_eq!(route.url.as_deref(), Some("https://orders.internal/connectly/"));
    assert_eq!(route.secrets[0].expose_secret(), "hunter2");
    assert_eq!(route.headers["x-team"].expose_secret(), "orders");
    assert!(route.allow_private);
    assert!(!format!("{route:?} {}", config.redacted()).contains("hunter2"));
}

#[test]
fn what_is_wrong_with_http_routes() {
    let text = r#"
        [[routes]]
        name = "a"
        on = ["*"]
        handler = "http"
        headers = { "not a name" = "hunter2", x-a = "hunter2\n", x-b = 1 }
        secrets = []
        [[routes]]
        name = "b"
        on = ["*"]
        handler = "http"
        url = "ftp://x"
        headers = 1
        allow_private = "yes"
    "#;
    insta::assert_snapshot!(problems(text, &[]), @r#"
    routes.a.url: missing, expected where to post events to
    routes.a.secrets: found an empty list, expected at least one secret
    routes.a.headers.not a name: expected a header's name and a string that it can hold
    routes.a.headers.x-a: expected a header's name and a string that it can hold
    routes.a.headers.x-b: expected a header's name and a string that it can hold
    routes.b.url: found "ftp://x", expected a URL with https:// or http://
    routes.b.headers: found a number, expected a table
    routes.b.allow_private: found "yes", expected true or false
    "#);
}

#[test]
fn the_settings_of_nats_routes_are_read_and_who_signs_in_is_hidden() {
    let text = r#"
        [[routes]]
        name = "bus"
        on = ["*"]
        handler = "nats"
        url = "nats://ana:hunter2@a.internal:4222, tls://ana:hunter2@b.internal"
        subject = "connectly.{{ event.type }}"
        [[routes]]
        name = "list"
        on = ["*"]
        handler = "nats"
        url = ["nats://a.internal", "nats://b.internal"]
        subject = "connectly"
        credentials_file = "switchboard.creds"
    "#;
    let config = config(text, &[]);
    let [bus, list] = config.routes.as_slice() else { panic!("two routes") };
    let (bus, list) = (bus.broker.as_ref().unwrap(), list.broker.as_ref().unwrap());
    assert_eq!(bus.servers, ["nats://a.internal:4222", "tls://b.internal"]);
    assert_eq!(bus.url, "nats://***@a.internal:4222,tls://***@b.internal");
    assert_eq!(bus.subject, "connectly.{{ event.type }}");
    let Some(Login::User { name, password }) = &bus.login else { panic!("a user") };
    assert_eq!((name.expose_secret(), password.expose_secret()), ("ana", "hunter2"));
    assert_eq!(list.servers, ["nats://a.internal", "nats://b.internal"]);
    assert_eq!(list.credentials_file.as_deref(), Some("switchboard.creds".as_ref()));
    let shown = config.redacted();
    assert!(shown.contains("url = \"nats://***@a.internal:4222,tls://***@b.internal\""), "{shown}");
    assert!(!format!("{config:?} {shown}").contains("hunter2"));
}

#[test]
fn what_is_wrong_with_nats_routes() {
    let text = r#"
        [[routes]]
        name = "a"
        on = ["*"]
        handler = "nats"
        secrets = ["s"]
        [[routes]]
        name = "b"
        on = ["*"]
        handler = "nats"
        url = "hunter2@a.internal"
        subject = ""
        credentials_file = 1
        [[routes]]
        name = "c"
        on = ["*"]
        handler = "nats"
        url = "nats://a:hunter2@a.internal,nats://b.internal"
        subject = "x"
        credentials_file = "x.creds"
        [[routes]]
        name = "d"
        on = ["*"]
        handler = "greeter"
        url_file = "x"
        subject = "x"
        credentials_file = "x.creds"
    "#;
    insta::assert_snapshot!(problems(text, &[]), @r#"
    routes.a.secrets: means something with handler = "http" only
    routes.a.url: missing, expected where the broker is
    routes.a.subject: missing, expected what events are published under, such as "connectly.{{ event.type }}"
    routes.b.url: expected one or several URLs such as "nats://nats.internal:4222"
    routes.b.credentials_file: found 1, expected a non-empty string in quotes
    routes.b.subject: found "", expected a non-empty string in quotes
    routes.c.url: names several servers, expected the same user and password for each
    routes.c.credentials_file: the URL says already who signs in; keep one
    routes.d.url_file: means something with handler = "nats" only
    routes.d.subject: means something with handler = "nats" only
    routes.d.credentials_file: means something with handler = "nats" only
    "#);
}
