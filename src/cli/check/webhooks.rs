//! Whether Connectly posts what it should to where the service is.

use super::report::Report;
use crate::cli::account::webhook_address;
use crate::connectly::client::webhooks::Registration;

/// What the check is called.
pub(super) const SUBJECT: &str = "webhooks";
/// The topics without which the service learns nothing of customers, or of its own messages.
const TOPICS: [&str; 2] = ["messages", "delivery_status"];

/// Compares what is registered with where the service is called from outside.
pub(super) fn compare(
    account: &str,
    public_url: Option<&str>,
    registered: &[Registration],
    report: &mut Report,
) {
    let told = |detail: &str| format!("accounts.{account}: {detail}");
    let address = public_url.map(|url| webhook_address(url, account));
    for topic in TOPICS {
        let found: Vec<&Registration> =
            registered.iter().filter(|found| found.topic == topic && found.is_custom()).collect();
        if found.is_empty() {
            let advice = "nothing of it is posted; `switchboard webhooks register` changes that";
            report.fail(SUBJECT, &told(&format!("{topic} is not registered: {advice}")));
        } else if let Some(address) = &address {
            of_topic(&found, address, &told, report);
        } else {
            let advice = "set public.url to have that compared";
            report.warn(SUBJECT, &told(&format!("{topic} goes to {}: {advice}", addresses(&found))));
        }
    }
}

/// One topic that is registered.
fn of_topic(found: &[&Registration], address: &str, told: &impl Fn(&str) -> String, report: &mut Report) {
    let topic = &found[0].topic;
    let (ours, others): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.posts_to(address));
    let Some(ours) = ours.first() else {
        let detail = format!("{topic} goes to {}, not to {address}", addresses(found));
        return report.fail(SUBJECT, &told(&detail));
    };
    let mut detail = format!("{topic} goes to {address}");
    if !others.is_empty() {
        detail = format!("{detail}, and to {} as well", addresses(&others));
    }
    if topic == TOPICS[0] && !ours.configuration.echo {
        detail.push_str("; echo is off: what is sent from elsewhere is not shown");
    }
    let filters = &ours.configuration.filters;
    if filters.is_empty() {
        return report.ok(SUBJECT, &told(&detail));
    }
    let filters = filters.iter().map(|filter| format!("{}={}", filter.field, filter.expression));
    let only = filters.collect::<Vec<_>>().join(", ");
    report.warn(SUBJECT, &told(&format!("{detail}; nothing comes but what fits {only}")));
}

fn addresses(registered: &[&Registration]) -> String {
    let show = |found: &&Registration| format!("{} ({})", found.address, found.id);
    registered.iter().map(show).collect::<Vec<_>>().join(", ")
}
