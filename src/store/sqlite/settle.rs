//! Settling deliveries in groups: what a job led to is committed with its completion.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::{SqliteStore, json, outbox, people, queue};
use crate::connectly::ids::parse_ulid;
use crate::model::event::EventType;
use crate::model::id::{ConversationId, CustomerId, JobId};
use crate::model::message::Origin;
use crate::store::Result;
use crate::store::plan::settle::{
    HandOver, HeldJob, Known, NewState, OtherConversations, Postponed, SettlePlan, Use, asked_uses, concerns,
    foreign_numbers, plan,
};
use crate::store::rows::{attempts, duration_ms, millis, timestamp};
use crate::store::work::Settlement;

pub(super) async fn settle(store: &SqliteStore, settlements: &[Settlement]) -> Result<Vec<bool>> {
    let mut tx = store.write().await?;
    let now = millis(store.clock.now());
    let held = held(&mut tx, settlements).await?;
    let others = other_conversations(store, &mut tx, settlements, &held, now).await?;
    let uses = uses(&mut tx, &asked_uses(settlements, &held)).await?;
    let known = Known { jobs: &held, others: &others, uses: &uses, now: timestamp(now) };
    let plan = plan(settlements, &known, || store.id());
    write(store, &mut tx, &plan, now).await?;
    tx.commit().await?;
    Ok(plan.applied)
}

async fn write(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    plan: &SettlePlan,
    now: i64,
) -> Result<()> {
    let outcome_ids = plan.finished.iter().map(|_| store.clock.ulid()).collect();
    queue::finish(connection, &plan.finished, now, outcome_ids).await?;
    postpone(connection, &plan.postponed, now).await?;
    outbox::put(store, connection, &plan.messages, now).await?;
    write_states(connection, &plan.states, now).await?;
    opt(connection, &plan.opt_outs, now).await?;
    hand_over(connection, &plan.hand_overs).await?;
    write_uses(connection, &plan.uses, now).await
}

#[derive(FromRow)]
struct HeldRow {
    id: JobId,
    lease_token: Option<String>,
    account: String,
    route: String,
    conversation_id: Option<ConversationId>,
    ordered: bool,
    log: String,
    customer_id: Option<CustomerId>,
    opted_out: Option<bool>,
    business: Option<String>,
    event_type: Option<String>,
    referred: Option<String>,
    doubtful: bool,
}

impl HeldRow {
    fn into_job(self) -> HeldJob {
        HeldJob {
            id: self.id,
            token: self.lease_token.as_deref().and_then(parse_ulid),
            account: self.account,
            route: self.route,
            conversation: self.conversation_id,
            ordered: self.ordered,
            log: attempts(Some(&self.log)),
            customer: self.customer_id,
            opted_out: self.opted_out.unwrap_or(false),
            business: self.business,
            event_type: self.event_type.as_deref().and_then(EventType::parse).unwrap_or(EventType::Unknown),
            referred: self.referred.as_deref().and_then(Origin::parse),
            doubtful: self.doubtful,
        }
    }
}

/// What is known of jobs. Of one that concerns nobody nothing else is looked up.
async fn held(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
) -> Result<HashMap<JobId, HeldJob>> {
    let jobs: Vec<_> = concerns(settlements).into_iter().collect();
    // store::settle (jobs)
    let rows: Vec<HeldRow> = sqlx::query_as(
        "SELECT j.id, j.lease_token, j.account, j.route, j.conversation_id, j.lane IS NOT NULL AS ordered, j.log,
             c.customer_id, (SELECT p.opted_out_at IS NOT NULL FROM customers p WHERE p.id = c.customer_id) AS opted_out,
             c.business, e.type AS event_type,
             -- Messages by their ids only: in a join with no statistics they may be led by all that have an origin.
             (SELECT (SELECT m.origin FROM messages m WHERE m.id = s.message_id) FROM sends s
              WHERE s.account = e.account AND s.provider_message_id = e.provider_message_id) AS referred,
             -- No EXISTS: that may be answered by a table of every such send.
             (SELECT 1 FROM sends s
              WHERE s.conversation_id = c.id AND s.dispatched_at IS NOT NULL AND s.provider_message_id IS NULL
                AND (SELECT m.origin FROM messages m WHERE m.id = s.message_id) = 'reply'
              LIMIT 1) IS NOT NULL AS doubtful
         FROM jsonb_each($1) AS n
         CROSS JOIN jobs j ON j.id = n.value ->> 0
         LEFT JOIN conversations c ON c.id = iif(n.value ->> 1, j.conversation_id, NULL)
         LEFT JOIN events e ON e.id = iif(n.value ->> 1, j.event_id, NULL)",
    )
    .bind(json(&jobs)?)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into_job())).collect())
}

/// The conversations of replies that leave from another number: the same customer's with that number, made if need be.
async fn other_conversations(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    jobs: &HashMap<JobId, HeldJob>,
    now: i64,
) -> Result<OtherConversations> {
    let mut others = OtherConversations::new();
    for (job, customer, from) in foreign_numbers(settlements, jobs) {
        let id = people::conversation_with(store, connection, &job.account, &from, customer, now).await?;
        others.insert((job.id, from), id);
    }
    Ok(others)
}

#[derive(Serialize)]
struct PostponedColumns<'a> {
    job: JobId,
    after: Option<i64>,
    reason: Option<&'a str>,
    log: &'a str,
}

pub(super) async fn postpone(connection: &mut SqliteConnection, jobs: &[Postponed], now: i64) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| PostponedColumns {
            job: job.job,
            after: job.after.map(duration_ms),
            reason: job.reason.as_deref(),
            log: &job.log,
        })
        .collect();
    // store::settle (again, or parked)
    let lanes: Vec<Option<String>> = sqlx::query_scalar(
        "UPDATE jobs SET lease_token = NULL, lease_until = NULL, log = n.log, last_error = n.reason,
             due_at = coalesce($2 + n.after, due_at), parked_at = CASE WHEN n.after IS NULL THEN $2 END
         FROM (SELECT value ->> 'job' AS job, value ->> 'after' AS after, value ->> 'reason' AS reason,
                   value ->> 'log' AS log
               FROM jsonb_each($1)) AS n
         WHERE jobs.id = n.job
         -- A parked job releases its lane; a waiting one is still its first.
         RETURNING CASE WHEN parked_at IS NOT NULL THEN lane END",
    )
    .bind(json(&rows)?)
    .bind(now)
    .fetch_all(&mut *connection)
    .await?;
    queue::promote(connection, lanes).await
}

/// One lane writes one state, so a group holds each row at most once.
async fn write_states(connection: &mut SqliteConnection, states: &[NewState], now: i64) -> Result<()> {
    for row in states {
        let Some(state) = &row.state else {
            // store::settle (cleared state)
            sqlx::query("DELETE FROM handler_state WHERE route = $1 AND conversation_id = $2")
                .bind(&row.route)
                .bind(row.conversation)
                .execute(&mut *connection)
                .await?;
            continue;
        };
        // store::settle (state)
        sqlx::query(
            "INSERT INTO handler_state (route, conversation_id, state, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (route, conversation_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
        )
        .bind(&row.route)
        .bind(row.conversation)
        .bind(state.to_string())
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn opt(
    connection: &mut SqliteConnection,
    opt_outs: &BTreeMap<CustomerId, Option<String>>,
    now: i64,
) -> Result<()> {
    for (customer, by) in opt_outs {
        // store::settle (opt-outs)
        sqlx::query(
            "UPDATE customers SET opted_out_at = CASE WHEN $2 IS NOT NULL THEN coalesce(opted_out_at, $3) END,
                 opted_out_by = CASE WHEN opted_out_at IS NULL THEN $2 WHEN $2 IS NOT NULL THEN opted_out_by END
             WHERE id = $1",
        )
        .bind(customer)
        .bind(by)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Sets until when rules keep quiet, and when they were told to go on. The caller holds the conversations' locks.
async fn hand_over(
    connection: &mut SqliteConnection,
    hand_overs: &BTreeMap<ConversationId, HandOver>,
) -> Result<()> {
    for (conversation, hand_over) in hand_overs {
        // store::settle (handing over)
        sqlx::query(
            "UPDATE conversations SET muted_until = $2, handed_back_at = coalesce($3, handed_back_at) WHERE id = $1",
        )
        .bind(conversation)
        .bind(hand_over.muted_until.map(millis))
        .bind(hand_over.handed_back_at.map(millis))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// When these answers were last given. The conversations' locks keep others from giving them meanwhile.
async fn uses(connection: &mut SqliteConnection, asked: &[Use]) -> Result<HashMap<Use, Timestamp>> {
    let mut uses = HashMap::new();
    for answer in asked {
        // store::settle (answers once in a time)
        let used_at: Option<i64> = sqlx::query_scalar(
            "SELECT used_at FROM rule_uses WHERE route = $1 AND rule = $2 AND conversation_id = $3",
        )
        .bind(&answer.route)
        .bind(&answer.name)
        .bind(answer.conversation)
        .fetch_optional(&mut *connection)
        .await?;
        uses.extend(used_at.map(|at| (answer.clone(), timestamp(at))));
    }
    Ok(uses)
}

async fn write_uses(connection: &mut SqliteConnection, uses: &BTreeSet<Use>, now: i64) -> Result<()> {
    for answer in uses {
        // store::settle (an answer was given)
        sqlx::query(
            "INSERT INTO rule_uses (route, rule, conversation_id, used_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (route, rule, conversation_id) DO UPDATE SET used_at = excluded.used_at",
        )
        .bind(&answer.route)
        .bind(&answer.name)
        .bind(answer.conversation)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
