//! One try: the handler runs, and what follows is decided.

use std::time::Duration;

use super::super::{Shared, WorkRoute};
use super::Served;
use crate::clock::Stopwatch;
use crate::connectly::message::Strictness;
use crate::handler::{reply, state};
use crate::model::job::{Attempt, SoFar};
use crate::model::outcome::{HandlerError, HandlerResult, Outcome, Retry, StateChange};
use crate::store::work::{Delivery, Settled, Settlement};

/// Runs the handler and decides what follows; nothing does when the process was stopped meanwhile.
pub(super) async fn work(
    shared: &Shared,
    served: &Served,
    delivery: Delivery,
    leased: Stopwatch,
) -> Option<Settlement> {
    let Served { route, failures, tempo } = served;
    let at = shared.clock.now();
    let watch = shared.clock.stopwatch();
    let (lease, attempt, first) = (delivery.lease, delivery.context.attempt, delivery.first_attempt_at);
    let result = if attempt > route.retry.attempts {
        let reason =
            "its attempts are used up: its worker was lost at the last, or `retry.attempts` was lowered";
        Err(HandlerError::fail(reason))
    } else {
        let result = run(shared, route, delivery, leased)
            .await?
            .and_then(|outcome| checked(outcome, &route.name, shared.settings.strictness));
        tempo.note(watch.elapsed());
        failures.note(&route.name, &result);
        result
    };
    shared.metrics.handler_ran(&route.name, watch.elapsed());
    let age = Duration::try_from(shared.clock.now().duration_since(first)).unwrap_or_default();
    let (resolution, outcome, detail) = resolve(served, result, attempt, age);
    shared.metrics.delivery(&route.name, outcome);
    let attempt = Attempt {
        number: i64::from(attempt),
        at,
        duration_ms: watch.elapsed_ms(),
        outcome: outcome.to_owned(),
        detail,
    };
    Some(Settlement { lease, attempt, resolution })
}

/// Runs the handler in a task of its own, so that a panic or a hang harms nobody else.
async fn run(
    shared: &Shared,
    route: &WorkRoute,
    delivery: Delivery,
    leased: Stopwatch,
) -> Option<HandlerResult> {
    let lease = delivery.lease;
    let handler = route.handler.clone();
    let running = tokio::spawn(async move { handler.handle(&delivery.event, &delivery.context).await });
    let abort = running.abort_handle();
    shared.held.hold(lease, leased, Some(abort.clone()));
    Some(match tokio::time::timeout(route.timeout, running).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) if error.is_panic() => Err(HandlerError::retry("the handler panicked")),
        // The job has been given back, or taken over: it is somebody else's to settle.
        Ok(Err(_)) if shared.shutdown.is_cancelled() => return None,
        Ok(Err(_)) => Err(HandlerError::retry("the lease was lost while the handler ran")),
        Err(_) => {
            abort.abort();
            Err(HandlerError::retry(format!("the handler ran longer than {:?}", route.timeout)))
        }
    })
}

/// A reply that WhatsApp would refuse is the handler's mistake, which no retry mends.
fn checked(mut outcome: Outcome, route: &str, strictness: Strictness) -> HandlerResult {
    let (replies, warnings) = reply::check(outcome.replies, strictness).map_err(HandlerError::fail)?;
    for warning in warnings {
        tracing::warn!(route.name = route, %warning, "a reply is over a limit of WhatsApp's");
    }
    outcome.replies = replies;
    if let StateChange::Set(state) = &outcome.state {
        state::check(state).map_err(HandlerError::fail)?;
    }
    Ok(outcome)
}

fn resolve(
    served: &Served,
    result: HandlerResult,
    attempt: u32,
    age: Duration,
) -> (Settled, &'static str, Option<String>) {
    let error = match result {
        Ok(mut outcome) => {
            let note = outcome.note.take();
            return (Settled::Done(outcome), "done", note);
        }
        Err(error) => error,
    };
    let asked = match error.retry {
        Retry::Never => return (Settled::Park, "parked", Some(error.reason)),
        Retry::After(delay) => Some(delay),
        Retry::Backoff => None,
    };
    let so_far = SoFar { tried: attempt, age, asked, only_fails: served.failures.are_all_there_is() };
    match served.route.retry.next(so_far, rand::random()) {
        Some(delay) => (Settled::Retry(delay), "retry", Some(error.reason)),
        None => (Settled::Park, "parked", Some(error.reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{AnyHandler, Handler};
    use crate::model::context::Context;
    use crate::model::event::Event;
    use crate::model::job::RetryPolicy;

    struct Away;

    impl Handler for Away {
        async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
            Err(HandlerError::retry("away"))
        }
    }

    #[test]
    fn a_route_that_only_fails_tries_again_later() {
        let route = WorkRoute {
            name: "desk".to_owned(),
            handler: AnyHandler::new(Away),
            timeout: Duration::from_secs(1),
            concurrency: 1,
            retry: RetryPolicy::default(),
        };
        let served = Served::new(route);
        let delay = || match resolve(&served, Err(HandlerError::retry("away")), 1, Duration::ZERO) {
            (Settled::Retry(delay), "retry", _) => delay,
            other => panic!("{other:?}"),
        };
        assert!(delay() <= Duration::from_secs(1));
        for _ in 0..100 {
            served.failures.note("desk", &Err(HandlerError::retry("away")));
        }
        assert!(delay() >= Duration::from_secs(5));
    }
}
