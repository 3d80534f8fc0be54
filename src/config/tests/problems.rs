//! All problems at once, and what `serve` insists on.

use super::super::{Config, Problems};
use super::{COMPLETE, config, environment, load, problems};

#[test]
fn all_problems_are_listed_at_once() {
    let text = r#"
        colour = "red"
        worker = 5

        [public]
        listen = "localhost:8080"
        body_limit = "1 MB"
        bodies_in_flight = 5
        lisen = "x"
        url = "https://hooks.example.com/?token=hunter2"
        tls = { certificate = "c.pem" }

        [admin]
        hosts = ["", "a"]

        [accounts.default]
        base_url = "api.connectly.ai"
        rate = { per_second = 0, burst = "many" }

        [accounts."Brazil!"]
        base_url = "https://user:hunter2@api.connectly.ai"

        [sending]
        timeout = 30

        [retention]
        bodies = "1s"

        [log]
        filter = "a=b=c"
        format = "xml"

        [hours]
        time_zone = "Mars/Olympus"
        open = { monday = "9-18", sat = "09:00-13:00" }
    "#;
    let variables = [
        ("SWITCHBOARD_REPLIES__PER_MINUTE", "-1"),
        ("SWITCHBOARD_WORKER__LEASES", "15s"),
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("CONNECTLY_API_KEY", ""),
    ];
    insta::assert_snapshot!(problems(text, &variables), @r#"
    public.listen: found "localhost:8080", expected an IP address with a port, such as "127.0.0.1:8080"
    public.url: expected a URL without ? and #, such as "https://hooks.example.com"
    public.body_limit: found "1 MB", expected a size from "1KiB" to "16MiB", or a number of bytes
    public.bodies_in_flight: found 5, expected a size from "1MiB" to "16GiB", or a number of bytes
    public.tls.key: missing, expected the path of a PEM file
    public.lisen: unknown key; did you mean `listen`?
    admin.hosts: found ["", "a"], expected a list of non-empty strings
    store.url: expected a URL that begins with postgres://, postgresql:// or sqlite:
    accounts.Brazil!: this account's name is not made of 1 to 64 of the letters a-z, 0-9, - and _
    accounts.Brazil!.base_url: expected a URL without user name and password
    accounts.default.api_key: the secret in CONNECTLY_API_KEY is empty
    accounts.default.base_url: found "api.connectly.ai", expected a URL with https:// or http://
    accounts.default.rate.per_second: found 0, expected a whole number from 1 to 10000
    accounts.default.rate.burst: found "many", expected a whole number from 1 to 100000
    replies.per_minute: found "-1" in SWITCHBOARD_REPLIES__PER_MINUTE, expected a whole number from 1 to 10000
    sending.timeout: found 30, expected a duration from "100ms" to "5m"
    worker: found a number, expected a table
    retention.bodies: found "1s", expected a duration from "1h" to "36500d"
    log.filter: found "a=b=c", expected log directives, such as "info" or "info,switchboard::worker=debug"
    log.format: found "xml", expected "auto" or "text" or "json"
    hours.time_zone: found "Mars/Olympus", expected a time zone such as "America/Sao_Paulo"
    hours.open.monday: unknown day, expected one such as `sat` or some such as `mon-fri`
    hours.open.monday: expected opening hours such as "09:00-18:00", or several separated by commas
    colour: unknown key; expected public, admin, store, accounts, replies, sending, worker, spool, retention, emulator, log, hours, routes
    SWITCHBOARD_WORKER__LEASES: unknown variable; did you mean SWITCHBOARD_WORKER__LEASE?
    "#);
}

#[test]
fn listeners_must_not_collide() {
    let collide = |public: &str, admin: &str| {
        let text = format!("public.listen = \"{public}\"\nadmin.listen = \"{admin}\"");
        load(&text, &[]).is_err()
    };
    assert!(collide("127.0.0.1:8080", "127.0.0.1:8080"));
    assert!(collide("0.0.0.0:8080", "127.0.0.1:8080"));
    assert!(collide("127.0.0.1:8080", "[::]:8080"));
    assert!(!collide("127.0.0.2:8080", "127.0.0.1:8080"));
    assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
}

#[test]
fn settings_without_effect_are_warned_of() {
    let text = "spool.path = \"/tmp\"\nretention.bodies = \"91d\"";
    insta::assert_snapshot!(load(text, &[]).unwrap().warnings.join("\n"), @r"
    spool.path: not available in this release; while PostgreSQL is down, deliveries are answered 503
    ");
}

#[test]
fn serve_says_what_is_missing_and_where_to_set_it() {
    insta::assert_snapshot!(Config::default().check_for_serve(), @r"
    accounts.default.business_id: missing; set it in the configuration file or as CONNECTLY_BUSINESS_ID
    accounts.default.api_key: missing; set it in the configuration file or as CONNECTLY_API_KEY
    accounts.default.webhook_secrets: missing; set it in the configuration file or as CONNECTLY_WEBHOOK_SECRET
    admin.token: missing; set it in the configuration file or as SWITCHBOARD_ADMIN_TOKEN
    store.url: missing; set it in the configuration file or as DATABASE_URL
    ");
    let named = config("[accounts.brazil]\nbusiness_id = \"b\"\n[admin]\ntoken = \"short\"", &[]);
    insta::assert_snapshot!(named.check_for_serve(), @r"
    accounts.brazil.api_key: missing; set it in the configuration file
    accounts.brazil.webhook_secrets: missing; set it in the configuration file
    admin.token: too short, expected at least 16 characters
    store.url: missing; set it in the configuration file or as DATABASE_URL
    ");
}

#[test]
fn serve_is_content_with_five_variables() {
    let loaded = Config::load_checked(None, &environment(&COMPLETE), Config::check_for_serve);
    assert!(loaded.unwrap().warnings.is_empty());
}

#[test]
fn further_checks_are_reported_together_with_the_rest() {
    let environment = environment(&[
        ("SWITCHBOARD_ADMIN_TOKEN", ""),
        ("CONNECTLY_API_KEY", "key"),
        ("CONNECTLY_WEBHOOK_SECRET_FILE", "/nowhere"),
        ("DATABASE_URL", "sqlite:x"),
    ]);
    let check = |config: &Config| {
        let mut problems = config.check_for_serve();
        problems.add("routes.desk.handler", "no such handler");
        problems
    };
    let problems: Problems = Config::load_checked(None, &environment, check).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    admin.token: the secret in SWITCHBOARD_ADMIN_TOKEN is empty
    accounts.default.webhook_secrets: cannot read "/nowhere": No such file or directory (os error 2)
    accounts.default.business_id: missing; set it in the configuration file or as CONNECTLY_BUSINESS_ID
    routes.desk.handler: no such handler
    "#);
}
