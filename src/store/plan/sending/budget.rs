//! How many sends may be claimed: what the accounts' rates let leave now.

use std::collections::HashMap;
use std::time::Duration;

use crate::connectly::throttle::Bucket;
use crate::model::message::Origin;
use crate::store::work::{ClaimSends, ClaimedSends, Sending};

/// What an account's bucket is kept under.
const BUCKETS: &str = "rate/";

/// The key of an account's bucket.
pub fn bucket_key(account: &str) -> String {
    format!("{BUCKETS}{account}")
}

/// The account that a bucket's key belongs to.
pub fn account_of(key: &str) -> Option<&str> {
    key.strip_prefix(BUCKETS)
}

/// How many sends of each account may be claimed.
#[derive(Debug, Default)]
pub struct Budget {
    /// The accounts that may send.
    pub accounts: Vec<String>,
    /// How many messages each may send.
    pub messages: Vec<i64>,
    /// How many of them may be replies.
    pub replies: Vec<i64>,
    /// How many replies may be claimed over all accounts: in the API's turn, half of the requests that may begin.
    pub reply_limit: i64,
    /// The accounts that may not, and how long until they may.
    pub exhausted: Vec<(String, Duration)>,
}

impl Budget {
    /// What a claim of nothing comes to.
    pub fn nothing(self, claim: &ClaimSends) -> ClaimedSends {
        self.spent(claim, Vec::new())
    }

    /// What a claim of these comes to.
    pub fn spent(self, claim: &ClaimSends, sends: Vec<Sending>) -> ClaimedSends {
        let reached_a_limit = self.is_reached(claim, &sends);
        ClaimedSends { sends, exhausted: self.exhausted, reached_a_limit }
    }

    /// Whether any limit kept others from being claimed.
    fn is_reached(&self, claim: &ClaimSends, sends: &[Sending]) -> bool {
        let count = |of: &dyn Fn(&&Sending) -> bool| -> i64 {
            i64::try_from(sends.iter().filter(of).count()).unwrap_or(i64::MAX)
        };
        let is_reply = |sending: &&Sending| sending.origin == Origin::Reply;
        let of_accounts = || self.accounts.iter().zip(self.messages.iter().zip(&self.replies));
        count(&|_| true) >= i64::from(claim.limit)
            || count(&is_reply) >= self.reply_limit
            || count(&|sending| !is_reply(sending)) >= i64::from(claim.api_limit)
            || of_accounts().any(|(account, (messages, replies))| {
                count(&|sending| sending.account == *account) >= *messages
                    || count(&|sending| sending.account == *account && is_reply(sending)) >= *replies
            })
    }
}

/// What the accounts' rates allow now. `buckets` are as the last sends left them; an account without one has a full one.
pub fn budget(claim: &ClaimSends, buckets: &HashMap<String, Bucket>, now: i64) -> Budget {
    let limit = i64::from(claim.limit);
    let reply_limit = if claim.api_turn { limit / 2 } else { limit };
    let mut budget = Budget { reply_limit, ..Budget::default() };
    for account in &claim.accounts {
        let full = Bucket::new(account.rate);
        let bucket = buckets.get(&account.name).map_or(full, |left| Bucket { rate: account.rate, ..*left });
        match bucket.look(now) {
            Ok(permits) => {
                let messages = i64::from(permits.saturating_sub(account.undrawn));
                budget.accounts.push(account.name.clone());
                budget.messages.push(messages);
                budget.replies.push(if claim.api_turn { messages / 2 } else { messages });
            }
            Err(wait) => budget.exhausted.push((account.name.clone(), wait)),
        }
    }
    budget
}
