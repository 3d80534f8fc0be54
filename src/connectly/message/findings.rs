//! The problems of one message, collected while its parts are looked at.

use std::collections::HashSet;

use super::{Invalid, Limit, Problem, Text};

/// What was found wrong so far.
#[derive(Default)]
pub(in crate::connectly) struct Findings(Vec<Invalid>);

impl Findings {
    /// All of it, in the order found.
    pub(in crate::connectly) fn into_problems(self) -> Vec<Invalid> {
        self.0
    }

    /// Any problem.
    pub(in crate::connectly) fn add(&mut self, path: &str, problem: Problem) {
        self.0.push(Invalid::new(path, problem));
    }

    /// A rule other than a size.
    pub(in crate::connectly) fn rule(&mut self, path: &str, rule: &'static str) {
        self.add(path, Problem::Rule(rule));
    }

    /// A rule of WhatsApp's that Connectly does not state.
    pub(in crate::connectly) fn whatsapp_rule(&mut self, path: &str, rule: &'static str) {
        self.add(path, Problem::WhatsAppRule(rule));
    }

    /// A number of items or characters.
    pub(in crate::connectly) fn size(&mut self, path: &str, found: usize, limit: Limit) {
        if !limit.allows(found) {
            self.add(path, Problem::Limit { limit, found });
        }
    }

    /// A text that must be there and hold more than white space.
    pub(in crate::connectly) fn required(&mut self, path: &str, text: &Text, limit: Limit) {
        let blank = text.trim().is_empty();
        self.size(path, if blank { 0 } else { text.characters() }, limit);
    }

    /// A text that may be absent; the empty one counts as absent, as in protobuf.
    pub(in crate::connectly) fn optional(&mut self, path: &str, text: Option<&Text>, limit: Limit) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.size(path, text.characters(), limit);
        }
    }

    /// A text that must be there, where the key itself may be missing.
    pub(in crate::connectly) fn body(&mut self, path: &str, text: Option<&Text>, limit: Limit) {
        match text {
            Some(text) => self.required(path, text, limit),
            None => self.add(path, Problem::Missing),
        }
    }

    /// A text that must be there and has no limit.
    pub(in crate::connectly) fn present(&mut self, path: &str, text: &Text) {
        if text.is_empty() {
            self.add(path, Problem::Missing);
        }
    }

    /// A text that may stand once only; `seen` has the earlier ones.
    pub(in crate::connectly) fn unique<'a>(
        &mut self,
        path: &str,
        text: &'a Text,
        seen: &mut HashSet<&'a Text>,
    ) {
        if !text.is_empty() && !seen.insert(text) {
            self.whatsapp_rule(path, "is there twice");
        }
    }

    /// A URL that others can fetch.
    pub(in crate::connectly) fn url(&mut self, path: &str, url: &Text) {
        let web = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if url.is_empty() {
            self.add(path, Problem::Missing);
        } else if !web {
            self.rule(path, "must be a public URL that begins with https:// or http://");
        }
    }
}
