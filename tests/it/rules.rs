//! Rules: what an event leads to, and what a configuration is told before the first one.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::config::{HoursConfig, MatchConfig, Problems, RouteConfig, RouteOrdering, RuleConfig};
use switchboard::connectly::event::decode;
use switchboard::connectly::message::Strictness;
use switchboard::handler::rules::{Rules, RulesSettings};
use switchboard::model::id::EventId;
use switchboard::routing::{Route, Routes};
use switchboard::testing::Chat;
use switchboard::{Effect, Event};

const TWO_HOURS: Duration = Duration::from_hours(2);

fn every() -> MatchConfig {
    MatchConfig { any: true, ..MatchConfig::default() }
}

fn text(text: &str) -> MatchConfig {
    MatchConfig { text: vec![text.to_owned()], ..MatchConfig::default() }
}

fn rule(matches: MatchConfig, text: &str) -> RuleConfig {
    RuleConfig { matches, reply: Some(json!({ "text": text })), ..RuleConfig::default() }
}

fn made_with(route: &RouteConfig, with_hours: bool) -> Result<Rules, Problems> {
    let hours = HoursConfig {
        time_zone: "America/Sao_Paulo".to_owned(),
        open: [("mon-fri".to_owned(), "09:00-18:00".to_owned())].into(),
    };
    let hours = Some(&hours).filter(|_| with_hours);
    let (strictness, window_margin) = (Strictness::Enforce, Duration::from_mins(1));
    Rules::new(route, &RulesSettings { strictness, hours, echo_mutes: TWO_HOURS, window_margin })
}

fn route(rules: Vec<RuleConfig>) -> RouteConfig {
    RouteConfig { name: "desk".to_owned(), rules, ..RouteConfig::default() }
}

fn chat(rules: Vec<RuleConfig>) -> Chat {
    Chat::with(made_with(&route(rules), true).unwrap_or_else(|problems| panic!("{problems}")))
}

fn problem(rule: RuleConfig) -> String {
    match made_with(&route(vec![rule]), false) {
        Ok(_) => panic!("nothing was found wrong"),
        Err(problems) => problems.to_string(),
    }
}

#[tokio::test]
async fn the_first_rule_that_matches_answers() {
    let mut chat = chat(vec![rule(text("hi"), "first"), rule(every(), "last")]);
    assert_eq!(chat.says(" HI ").await.text(), "first");
    assert_eq!(chat.says("something else").await.text(), "last");
}

#[tokio::test]
async fn a_template_sees_event_conversation_and_state() {
    let words = "{{ event.customer.name }}/{{ conversation.window.open }}/{{ state.step }}/{{ first_contact }}/{{ latest_message.content.text }}";
    let mut chat = chat(vec![rule(every(), words)]).with_state(json!({ "step": 3 }));
    assert_eq!(chat.says("hi").await.text(), "Ana/True/3/True/");
    assert_eq!(chat.says("hi").await.text(), "Ana/True/3/False/Ana/True/3/True/");
}

#[tokio::test]
async fn a_template_sees_the_window_closed_as_soon_as_nothing_would_leave() {
    let mut chat = chat(vec![rule(every(), "{{ conversation.window.open }}")]);
    assert_eq!(chat.says("hi").await.text(), "True");
    let status = json!({
        "sender": { "id": "+15550100001" }, "recipient": { "id": "+15550100002" },
        "statusUpdate": { "id": "01K00000000000000000000001", "status": "read" },
    });
    chat.pass(Duration::from_hours(24) - Duration::from_secs(61));
    assert_eq!(chat.receives(&status).await.text(), "True");
    chat.pass(Duration::from_secs(2));
    assert_eq!(chat.receives(&status).await.text(), "False");
}

#[tokio::test]
async fn a_text_is_never_escaped_for_html() {
    let mut chat = chat(vec![rule(every(), "{{ event.content.text }} see https://shop.example/a.html")]);
    assert_eq!(chat.says("O'Brien & <Co>").await.text(), "O'Brien & <Co> see https://shop.example/a.html");
}

#[tokio::test]
async fn buttons_and_lists_are_sent_and_their_payloads_come_back() {
    let offer = RuleConfig {
        matches: text("menu"),
        reply: Some(
            json!({ "text": "What is it, {{ event.customer.name }}?", "replyButtonMessage": { "buttons": [
            { "id": "status", "text": "Where is it?" }, { "id": "return", "text": "Send it back" } ] } }),
        ),
        ..RuleConfig::default()
    };
    let button = MatchConfig { button: Some("status".to_owned()), ..MatchConfig::default() };
    let mut chat = chat(vec![offer, rule(button, "On its way")]);
    assert_eq!(chat.says("menu").await.choices(), ["status", "return"]);
    assert_eq!(chat.presses("status").await.text(), "On its way");
    assert_eq!(chat.picks("status").await.text(), "On its way");
    assert!(chat.says("status").await.is_silent(), "a text is no button");
}

#[tokio::test]
async fn an_answer_out_of_hours_is_given_once_in_a_time() {
    let closed = RuleConfig {
        name: Some("closed".to_owned()),
        once_per: Some(Duration::from_hours(12)),
        ..rule(
            MatchConfig { hours: Some("outside".to_owned()), ..MatchConfig::default() },
            "We open at nine.",
        )
    };
    // Thursday, 12:00 UTC is nine o'clock in Sao Paulo.
    let mut chat = chat(vec![closed]);
    assert!(chat.says("hello?").await.is_silent(), "they are open");
    chat.pass(Duration::from_hours(9));
    assert_eq!(chat.says("hello?").await.text(), "We open at nine.");
    chat.pass(Duration::from_hours(11));
    assert!(chat.says("hello??").await.is_silent());
    chat.pass(Duration::from_hours(1));
    assert_eq!(chat.says("hello???").await.text(), "We open at nine.");
}

#[tokio::test]
async fn rules_keep_quiet_while_a_person_talks() {
    let person = RuleConfig { effects: vec!["mute:2h".to_owned()], ..rule(text("agent"), "One moment.") };
    let back =
        RuleConfig { matches: text("bot"), effects: vec!["mute:0s".to_owned()], ..RuleConfig::default() };
    let stop = RuleConfig { effects: vec!["opt_out".to_owned()], ..rule(text("stop"), "Goodbye.") };
    let mut chat = chat(vec![person, back, stop, rule(every(), "I am a bot.")]);
    assert_eq!(chat.says("agent").await.text(), "One moment.");
    assert!(chat.says("are you there?").await.is_silent());
    assert_eq!(chat.says("stop").await.text(), "Goodbye.", "whoever opts out is told so");
    assert!(chat.opted_out());
    assert!(chat.says("bot").await.is_silent());
    assert_eq!(chat.says("hi").await.text(), "I am a bot.");
    chat.person_answers("This is Eva, how can I help?").await;
    assert!(chat.says("hi Eva").await.is_silent());
    chat.pass(TWO_HOURS);
    assert_eq!(chat.says("hi").await.text(), "I am a bot.");
}

#[tokio::test]
async fn the_rule_that_hands_a_conversation_back_answers() {
    let person = RuleConfig { effects: vec!["mute:2h".to_owned()], ..rule(text("agent"), "One moment.") };
    let back = RuleConfig { effects: vec!["mute:0s".to_owned()], ..rule(text("bot"), "I'm back.") };
    let mut chat = chat(vec![person, back, rule(every(), "I am a bot.")]);
    chat.says("agent").await;
    assert!(chat.says("hi").await.is_silent());
    assert_eq!(chat.says("bot").await.text(), "I'm back.");
    assert_eq!(chat.says("hi").await.text(), "I am a bot.");
}

#[tokio::test]
async fn what_a_person_wrote_before_the_conversation_was_handed_back_silences_no_rule() {
    let back = RuleConfig { effects: vec!["mute:0s".to_owned()], ..rule(text("bot"), "I'm back.") };
    let mut chat = chat(vec![back, rule(every(), "I am a bot.")]);
    chat.person_answers("This is Eva, how can I help?").await;
    assert!(chat.says("hi Eva").await.is_silent());
    assert_eq!(chat.says("bot").await.text(), "I'm back.");
    assert_eq!(chat.says("hi").await.text(), "I am a bot.");
    chat.pass(Duration::from_secs(1));
    chat.person_answers("Eva again.").await;
    assert!(chat.says("hi Eva").await.is_silent(), "that was said later");
}

#[tokio::test]
async fn effects_are_what_the_configuration_says() {
    let effects = vec!["opt_in".to_owned(), "mute:90s".to_owned()];
    let mut chat = chat(vec![RuleConfig { matches: every(), effects, ..RuleConfig::default() }]);
    let turn = chat.says("start").await;
    assert_eq!(turn.outcome().effects, [Effect::OptIn, Effect::Mute(Duration::from_secs(90))]);
    assert_eq!(turn.outcome().note.as_deref(), Some("rule `0` matched"));
}

#[test]
fn mistakes_are_found_before_the_first_message() {
    let with_reply =
        |reply: Value| RuleConfig { matches: every(), reply: Some(reply), ..RuleConfig::default() };
    let told = [
        problem(rule(every(), "{{ event.customer.name")),
        problem(rule(every(), "{{ evnt.customer.name }}")),
        problem(rule(every(), "{{ event.customer.name|uper }}")),
        problem(with_reply(json!({ "txt": "hi" }))),
        problem(with_reply(json!({ "text": "{{ event.id }}", "replyButtonMessage": { "buttons": [] } }))),
        problem(rule(MatchConfig { regex: Some("(".to_owned()), ..MatchConfig::default() }, "hi")),
        problem(rule(MatchConfig { hours: Some("inside".to_owned()), ..MatchConfig::default() }, "hi")),
        problem(RuleConfig {
            fallback: Some(json!({ "template": "", "language": "en" })),
            ..rule(every(), "hi")
        }),
    ];
    insta::assert_snapshot!(told.join("\n"));
    let once = RuleConfig { name: Some("a".to_owned()), once_per: Some(TWO_HOURS), ..rule(every(), "hi") };
    let unordered = RouteConfig { ordering: RouteOrdering::None, ..route(vec![once]) };
    let told = made_with(&unordered, false).err().unwrap().to_string();
    assert_eq!(told, "routes.desk.rules.a.once_per: needs `ordering = \"conversation\"`");
}

#[test]
fn a_name_that_nobody_knows_is_found_in_every_branch() {
    for source in [
        "{% if first_contact %}{{ event.customer.name|uper }}{% endif %}",
        "{% if first_contact %}{% else %}{{ 'a' if event.id is redd else 'b' }}{% endif %}",
        "{% for item in state.items %}{{ uper(item) }}{% endfor %}",
        "{% macro shown(item) %}{{ item|uper }}{% endmacro %}",
        "{% block name %}{% if state %}{{ state|uper }}{% endif %}{% endblock %}",
        "{% if first_contact %}{% filter uper %}hi{% endfilter %}{% endif %}",
        "{{ event.type == 'message.failed' and event.error.code|uper }}",
        "{% if first_contact %}{{ event.content.text.lower() }}{% endif %}",
    ] {
        let told = problem(rule(every(), source));
        assert!(told.contains("cannot work") || told.contains("which is not known"), "{source}: {told}");
    }
    let known = "{% macro shown(item) %}{{ item|upper }}{% endmacro %}{% for item in state.items %}\
                 {{ loop.cycle('a', 'b') }}{{ shown(item) if item is string }}{% endfor %}";
    drop(chat(vec![rule(every(), known)]));
}

#[tokio::test]
async fn a_template_that_cannot_end_harms_its_own_job_only() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    let mut chat = chat(vec![rule(text("loop"), endless), rule(every(), "fine")]);
    let turn = chat.says("loop").await;
    assert!(turn.error().unwrap().reason.starts_with("the template failed"), "{turn:?}");
    assert_eq!(chat.says("hi").await.text(), "fine");
}

/// Pieces of expressions and templates, good and bad, put together at random.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("event".to_owned()),
        Just("event.content.text".to_owned()),
        Just("event.callback_data.a.b[0]".to_owned()),
        Just("event.customer.name".to_owned()),
        Just("state".to_owned()),
        Just("range(100000000)".to_owned()),
        Just("|list".to_owned()),
        Just("|length".to_owned()),
        Just("|join('x')".to_owned()),
        Just("|upper".to_owned()),
        Just(" == ".to_owned()),
        Just(" and ".to_owned()),
        Just(" + ".to_owned()),
        Just(" * ".to_owned()),
        Just(" ** ".to_owned()),
        Just(" in ".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("not ".to_owned()),
        Just(" is defined".to_owned()),
        Just("'a'".to_owned()),
        Just("9223372036854775807".to_owned()),
        Just("[1, 2]".to_owned()),
        Just("{'a': 1}".to_owned()),
        "[ -~]{0,5}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Bodies with a text of any letters and callback data of any shape.
fn bodies() -> impl Strategy<Value = Value> {
    (any::<String>(), any::<Option<i64>>(), any::<String>()).prop_map(|(text, number, key)| {
        json!({
            "timestamp": "1767225600",
            "sender": { "id": "+15550100001", "name": key },
            "recipient": { "id": "+15550100002" },
            "message": { "text": text },
            "callbackData": { "a": { "b": [number] }, key: text },
        })
    })
}

proptest! {
    #[test]
    fn when_never_panics_nor_outlives_its_fuel(expression in pieces(), body in bodies()) {
        let on = ["*".to_owned()];
        if let Ok(route) = Route::new("r", &on, Some(&expression), true) {
            let decoded = decode(body.to_string().as_bytes());
            let clock = Clock::system();
            let event = Event::arriving(EventId::new(clock.ulid()), "default", clock.now(), &decoded);
            let watch = clock.stopwatch();
            let routes = Routes::new(vec![route]);
            prop_assert_eq!(routes.judge(&event).count(), 1);
            prop_assert!(watch.elapsed() < Duration::from_secs(2), "{expression}");
        }
    }

    #[test]
    fn rules_never_panic_nor_outlive_their_fuel(
        template in pieces(),
        regex in "[ -~]{0,12}",
        keyword in ".{1,6}",
        body in bodies(),
    ) {
        let matches = MatchConfig { keyword: vec![keyword], regex: Some(regex), ..MatchConfig::default() };
        let source = format!("{{{{ {template} }}}}{{% if {template} %}}a{{% endif %}}");
        let rules = vec![rule(matches, "hi"), rule(every(), &source), rule(every(), "{{ event.content.text }}")];
        if let Ok(made) = made_with(&route(rules), true) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut chat = Chat::with(made);
            let watch = Clock::system().stopwatch();
            runtime.block_on(chat.receives(&body));
            prop_assert!(watch.elapsed() < Duration::from_secs(2), "{template}");
        }
    }
}
