//! What a NATS server looks like to `check`.

use std::time::Duration;

use async_nats::ConnectErrorKind;
use async_nats::jetstream::context::GetStreamByNameErrorKind;
use async_nats::jetstream::{self, stream};

use super::link::Settings;
use crate::config::BrokerConfig;
use crate::handler::brokers::Finding;

/// The longest that the server is waited for: whoever checks sits in front of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the server can be reached, takes the credentials, and has a stream for each of these subjects that knows an id
/// for as long as a route may repeat it.
pub(in crate::handler::brokers) async fn inspect(
    broker: &BrokerConfig,
    subjects: &[String],
    max_age: Duration,
) -> Vec<Finding> {
    let mut context = match connect(broker).await {
        Ok(context) => context,
        Err(told) => return vec![Finding::Fault(format!("{}: {told}", broker.url))],
    };
    context.set_timeout(PATIENCE);
    let mut findings = vec![Finding::Well(format!("{} takes us", broker.url))];
    let mut seen: Vec<String> = Vec::new();
    for subject in subjects {
        match context.stream_by_subject(subject).await {
            Ok(name) if seen.contains(&name) => {}
            Ok(name) => {
                findings.extend(of_stream(&context, &name, subject, max_age).await);
                seen.push(name);
            }
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => {
                findings.push(Finding::Fault(format!(
                    "no stream takes {subject}: nothing is published until one does"
                )));
            }
            Err(error) => {
                let told = format!("it was not told which stream takes {subject}: {error}");
                return [findings, vec![Finding::Fault(told)]].concat();
            }
        }
    }
    findings
}

async fn connect(broker: &BrokerConfig) -> Result<jetstream::Context, String> {
    let settings = Settings::of(broker).map_err(|(_, told)| told)?;
    let options = settings.options().await?.connection_timeout(PATIENCE).request_timeout(Some(PATIENCE));
    let client = options.connect(settings.servers()).await.map_err(|error| match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            "the server refuses the credentials".to_owned()
        }
        ConnectErrorKind::Tls => format!("no connection that can be trusted: {error}"),
        _ => format!("the server cannot be reached: {error}"),
    })?;
    Ok(jetstream::new(client))
}

async fn of_stream(
    context: &jetstream::Context,
    name: &str,
    subject: &str,
    max_age: Duration,
) -> Vec<Finding> {
    match context.get_stream(name).await {
        Ok(stream) => judge(&stream.cached_info().config, subject, max_age),
        Err(error) => vec![Finding::Fault(format!("stream {name}: it cannot be looked at: {error}"))],
    }
}

/// What a stream's settings mean for a route.
fn judge(stream: &stream::Config, subject: &str, max_age: Duration) -> Vec<Finding> {
    let (name, window) = (&stream.name, stream.duplicate_window);
    if stream.no_ack {
        return vec![Finding::Fault(format!(
            "stream {name} takes {subject} and acknowledges nothing (no_ack)"
        ))];
    }
    if window < max_age {
        let told = format!(
            "stream {name} takes {subject}; its duplicate window ({window:?}) is shorter than retry.max_age ({max_age:?}): \
             an event that is retried for longer can be in it twice"
        );
        return vec![Finding::Doubt(told)];
    }
    vec![Finding::Well(format!("stream {name} takes {subject}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_must_acknowledge_and_should_remember() {
        let stream = |no_ack, window| stream::Config {
            name: "EVENTS".to_owned(),
            no_ack,
            duplicate_window: Duration::from_secs(window),
            ..stream::Config::default()
        };
        let judged = |stream| judge(&stream, "a.b", Duration::from_mins(10)).remove(0);
        assert_eq!(judged(stream(false, 600)), Finding::Well("stream EVENTS takes a.b".to_owned()));
        assert!(matches!(judged(stream(false, 120)), Finding::Doubt(told) if told.contains("(120s)")));
        assert!(matches!(judged(stream(true, 600)), Finding::Fault(told) if told.contains("no_ack")));
    }
}
