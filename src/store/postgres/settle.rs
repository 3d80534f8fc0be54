//! Settling deliveries in groups: what a job led to is committed with its completion.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::by_key::for_each;
use super::heads::Waiting;
use super::{PostgresStore, outbox, people, queue};
use crate::model::event::EventType;
use crate::model::id::{ConversationId, CustomerId, JobId};
use crate::model::message::Origin;
use crate::model::outcome::Effect;
use crate::store::plan::settle::{
    HandOver, HeldJob, Known, NewState, OtherConversations, Postponed, SettlePlan, Use, asked_uses, concerns,
    foreign_numbers, plan,
};
use crate::store::rows::{attempts, duration_ms, millis, timestamp};
use crate::store::work::{Settled, Settlement};
use crate::store::{Result, StoreError};

pub(super) async fn settle(store: &PostgresStore, settlements: &[Settlement]) -> Result<Vec<bool>> {
    let mut tx = store.pool.begin().await?;
    let now = millis(store.clock.now());
    let customers = lock_customers(&mut tx, settlements).await?;
    let others = other_conversations(store, &mut tx, settlements, now).await?;
    lock_conversations(&mut tx, settlements, &others).await?;
    let held = held(&mut tx, settlements).await?;
    check_customers(settlements, &held, &customers)?;
    let uses = uses(&mut tx, &asked_uses(settlements, &held)).await?;
    let known = Known { jobs: &held, others: &others, uses: &uses, now: timestamp(now) };
    let plan = plan(settlements, &known, || store.id());
    let next = write(store, &mut tx, &plan, now).await?;
    tx.commit().await?;
    store.heads.back_to(&next);
    Ok(plan.applied)
}

/// Whether it has a reply that leaves from a number it names.
fn names_a_number(settlement: &Settlement) -> bool {
    match &settlement.resolution {
        Settled::Done(outcome) => outcome.replies.iter().any(|reply| reply.from.is_some()),
        Settled::Retry(_) | Settled::Park => false,
    }
}

/// Writes what was decided; answers the deliveries that their lanes let go.
async fn write(
    store: &PostgresStore,
    connection: &mut PgConnection,
    plan: &SettlePlan,
    now: i64,
) -> Result<Vec<Waiting>> {
    let outcome_ids = plan.finished.iter().map(|_| store.clock.ulid()).collect();
    let mut next = queue::finish(connection, &plan.finished, now, outcome_ids).await?;
    next.extend(postpone(connection, &plan.postponed, now, store.clock.offset_ms()).await?);
    outbox::put(store, connection, &plan.messages, now).await?;
    write_states(connection, &plan.states, now).await?;
    opt(connection, &plan.opt_outs, now).await?;
    hand_over(connection, &plan.hand_overs).await?;
    write_uses(connection, &plan.uses, now).await?;
    Ok(next)
}

#[derive(FromRow)]
struct HeldRow {
    id: JobId,
    lease_token: Option<Uuid>,
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
            token: self.lease_token.map(|token| ulid::Ulid(token.as_u128())),
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

/// Whether it opts a customer out or in.
fn opts(settlement: &Settlement) -> bool {
    let opts = |effect: &Effect| matches!(effect, Effect::OptOut | Effect::OptIn);
    matches!(&settlement.resolution, Settled::Done(outcome) if outcome.effects.iter().any(opts))
}

/// Locks the customers that opt out or in, before any conversation: a group that learns a name takes them in that order.
async fn lock_customers(
    connection: &mut PgConnection,
    settlements: &[Settlement],
) -> Result<HashSet<CustomerId>> {
    let changing: Vec<JobId> =
        settlements.iter().filter(|item| opts(item)).map(|item| item.lease.job).collect();
    if changing.is_empty() {
        return Ok(HashSet::new());
    }
    // store::settle (customers)
    let locked: Vec<CustomerId> = sqlx::query_scalar(
        "SELECT id FROM customers WHERE id IN (
             SELECT c.customer_id FROM jobs j JOIN conversations c ON c.id = j.conversation_id WHERE j.id = ANY($1))
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(changing)
    .fetch_all(connection)
    .await?;
    Ok(locked.into_iter().collect())
}

/// A customer who was merged before their lock was there is another one now, who is not locked: neither may they be changed,
/// nor is it known whether they have opted out already.
fn check_customers(
    settlements: &[Settlement],
    held: &HashMap<JobId, HeldJob>,
    locked: &HashSet<CustomerId>,
) -> Result<()> {
    let customer = |item: &Settlement| held.get(&item.lease.job)?.customer;
    let mut changing = settlements.iter().filter(|item| opts(item)).filter_map(customer);
    if changing.all(|customer| locked.contains(&customer)) {
        return Ok(());
    }
    Err(StoreError::Contention("a customer was merged by another transaction".to_owned()))
}

/// Locks the conversations before the jobs, as everywhere: what leaves a lane promotes the next, and replies are numbered. A job
/// without a lane that concerns nobody needs no lock but its own.
async fn lock_conversations(
    connection: &mut PgConnection,
    settlements: &[Settlement],
    others: &OtherConversations,
) -> Result<()> {
    let (jobs, concerning): (Vec<JobId>, Vec<bool>) = concerns(settlements).into_iter().unzip();
    // store::settle (conversations)
    let locked: Vec<queue::LockedRow> = sqlx::query_as(concat!(
        "SELECT id, merged_into FROM conversations
         -- One list: with OR, every conversation would be looked at.
         WHERE id = ANY(ARRAY(
             SELECT unnest($3::uuid[])
             UNION SELECT j.conversation_id FROM unnest($1::uuid[], $2::bool[]) AS n (id, concerns) CROSS JOIN ",
        for_each!("jobs j", "j.id = n.id"),
        " j WHERE n.concerns OR j.lane IS NOT NULL))
         ORDER BY account COLLATE \"C\", business COLLATE \"C\", customer_id FOR UPDATE",
    ))
    .bind(jobs)
    .bind(concerning)
    .bind(others.values().copied().collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    queue::standing(locked).map(drop)
}

/// What is known of jobs, and how they are locked meanwhile. Of one that concerns nobody nothing else is looked up.
macro_rules! jobs_held {
    ($lock:literal) => {
        concat!(
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
             FROM unnest($1::uuid[], $2::bool[]) AS n (id, concerns) CROSS JOIN ",
            for_each!("jobs j", "j.id = n.id", $lock),
            " j
             -- By NULL, so that no row is read: a condition beside the id would be checked after that.
             LEFT JOIN ",
            for_each!("conversations c", "c.id = CASE WHEN n.concerns THEN j.conversation_id END"),
            " c ON true LEFT JOIN ",
            for_each!("events e", "e.id = CASE WHEN n.concerns THEN j.event_id END"),
            " e ON true"
        )
    };
}

/// Locks the jobs in the order of their ids, in which [`concerns`] answers them, and reads what is known of them. The caller holds
/// the conversations' locks, so what is read beside a job does not change while its lock is waited for.
async fn held(connection: &mut PgConnection, settlements: &[Settlement]) -> Result<HashMap<JobId, HeldJob>> {
    // store::settle (jobs)
    let concerns = concerns(settlements).into_iter().unzip();
    read(connection, jobs_held!(" FOR UPDATE"), concerns).await
}

async fn read(
    connection: &mut PgConnection,
    statement: &'static str,
    (jobs, concerning): (Vec<JobId>, Vec<bool>),
) -> Result<HashMap<JobId, HeldJob>> {
    let rows: Vec<HeldRow> =
        sqlx::query_as(statement).bind(jobs).bind(concerning).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into_job())).collect())
}

/// The conversations of replies that leave from another number: the same customer's with that number, made if need be.
async fn other_conversations(
    store: &PostgresStore,
    connection: &mut PgConnection,
    settlements: &[Settlement],
    now: i64,
) -> Result<OtherConversations> {
    let mut others = OtherConversations::new();
    let naming = settlements.iter().filter(|item| names_a_number(item));
    let naming: BTreeSet<JobId> = naming.map(|item| item.lease.job).collect();
    if naming.is_empty() {
        return Ok(others);
    }
    // store::settle (jobs that name a number)
    let jobs = read(connection, jobs_held!(""), naming.into_iter().map(|job| (job, true)).unzip()).await?;
    for (job, customer, from) in foreign_numbers(settlements, &jobs) {
        let id = people::conversation_with(store, connection, &job.account, &from, customer, now).await?;
        others.insert((job.id, from), id);
    }
    Ok(others)
}

pub(super) async fn postpone(
    connection: &mut PgConnection,
    jobs: &[Postponed],
    now: i64,
    offset_ms: i64,
) -> Result<Vec<Waiting>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    // store::settle (again, or parked)
    let lanes: Vec<Option<String>> = sqlx::query_scalar(
        "UPDATE jobs j SET lease_token = NULL, lease_until = NULL, log = n.log, last_error = n.reason,
             due_at = coalesce(switchboard_now($6) + n.after, j.due_at),
             parked_at = CASE WHEN n.after IS NULL THEN $5 END
         FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS n (id, after, reason, log)
         WHERE j.id = n.id AND j.id = ANY($1)
         -- A parked job releases its lane; a waiting one is still its first.
         RETURNING CASE WHEN j.parked_at IS NOT NULL THEN j.lane END",
    )
    .bind(jobs.iter().map(|job| job.job).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.after.map(duration_ms)).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.reason.as_deref()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.log.as_str()).collect::<Vec<_>>())
    .bind(now)
    .bind(offset_ms)
    .fetch_all(&mut *connection)
    .await?;
    queue::promote(connection, &lanes.into_iter().flatten().collect::<Vec<_>>()).await
}

/// One lane writes one state, so a group holds each row at most once.
async fn write_states(connection: &mut PgConnection, states: &[NewState], now: i64) -> Result<()> {
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
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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
async fn uses(connection: &mut PgConnection, asked: &[Use]) -> Result<HashMap<Use, Timestamp>> {
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

async fn write_uses(connection: &mut PgConnection, uses: &BTreeSet<Use>, now: i64) -> Result<()> {
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
