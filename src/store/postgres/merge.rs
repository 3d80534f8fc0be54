//! Two customers that are one: everything of the absorbed one goes to the survivor, in the transaction of the group that
//! showed it.
//!
//! The absorbed customer's row is deleted, so that a transaction which still takes it for a customer fails on its foreign
//! key and is repeated; the id lives on as an identity of the survivor.

use sqlx::{FromRow, PgConnection};

use crate::model::conversation::Window;
use crate::model::id::{ConversationId, CustomerId, EventId, JobId};
use crate::model::job::{JobKind, Lane};
use crate::store::Result;
use crate::store::plan::merge::{ConversationRecord, Place, StandingJob, join, line_up, pairs};
use crate::store::plan::people::{IdentityKind, Merge};
use crate::store::rows::{millis, timestamp};

/// Carries merges out, one after the other. The caller holds the locks of both customers.
pub(super) async fn merge(
    connection: &mut PgConnection,
    merges: &[Merge],
    concerned: &[CustomerId],
) -> Result<()> {
    lock_conversations(connection, merges, concerned).await?;
    for merge in merges {
        for (stays, goes) in pairs(conversations(connection, *merge).await?) {
            unite(connection, join(stays, &goes), goes.id).await?;
        }
        hand_over(connection, *merge).await?;
    }
    Ok(())
}

/// Locks every conversation of the group's customers at once, in the order in which everybody takes them.
async fn lock_conversations(
    connection: &mut PgConnection,
    merges: &[Merge],
    concerned: &[CustomerId],
) -> Result<()> {
    let merged = merges.iter().flat_map(|merge| [merge.survivor, merge.absorbed]);
    // store::merge (lock)
    sqlx::query(
        "SELECT id FROM conversations WHERE customer_id = ANY($1)
         ORDER BY account COLLATE \"C\", business COLLATE \"C\", customer_id FOR UPDATE",
    )
    .bind(concerned.iter().copied().chain(merged).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct ConversationRow {
    id: ConversationId,
    business: String,
    last_sequence: i64,
    last_inbound_at: Option<i64>,
    window_closed_at: Option<i64>,
    first_inbound_event: Option<EventId>,
    last_event_at: i64,
    muted_until: Option<i64>,
    handed_back_at: Option<i64>,
}

async fn conversations(connection: &mut PgConnection, merge: Merge) -> Result<Vec<ConversationRecord>> {
    // store::merge (conversations)
    let rows: Vec<ConversationRow> = sqlx::query_as(
        "SELECT id, business, last_sequence, last_inbound_at, window_closed_at, first_inbound_event, last_event_at,
             muted_until, handed_back_at
         FROM conversations WHERE customer_id IN ($1, $2) AND merged_into IS NULL",
    )
    .bind(merge.survivor)
    .bind(merge.absorbed)
    .fetch_all(connection)
    .await?;
    let record = |row: ConversationRow| ConversationRecord {
        id: row.id,
        business: row.business,
        last_sequence: row.last_sequence,
        window: Window {
            last_inbound_at: row.last_inbound_at.map(timestamp),
            closed_at: row.window_closed_at.map(timestamp),
        },
        first_inbound: row.first_inbound_event,
        last_event_at: timestamp(row.last_event_at),
        muted_until: row.muted_until.map(timestamp),
        handed_back_at: row.handed_back_at.map(timestamp),
    };
    Ok(rows.into_iter().map(record).collect())
}

/// Makes one conversation of two.
async fn unite(
    connection: &mut PgConnection,
    mut stays: ConversationRecord,
    goes: ConversationId,
) -> Result<()> {
    let jobs = standing_jobs(connection, stays.id, goes).await?;
    let places = line_up(&mut stays, jobs);
    // store::merge (signposts)
    sqlx::query("UPDATE conversations SET merged_into = $1 WHERE id = $2 OR merged_into = $2")
        .bind(stays.id)
        .bind(goes)
        .execute(&mut *connection)
        .await?;
    // store::merge (conversation)
    sqlx::query(
        "UPDATE conversations SET last_sequence = $2, last_inbound_at = $3, window_closed_at = $4,
             first_inbound_event = $5, last_event_at = $6, muted_until = $7,
             handed_back_at = $8
         WHERE id = $1",
    )
    .bind(stays.id)
    .bind(stays.last_sequence)
    .bind(stays.window.last_inbound_at.map(millis))
    .bind(stays.window.closed_at.map(millis))
    .bind(stays.first_inbound)
    .bind(millis(stays.last_event_at))
    .bind(stays.muted_until.map(millis))
    .bind(stays.handed_back_at.map(millis))
    .execute(&mut *connection)
    .await?;
    place(connection, stays.id, &places).await?;
    take_over(connection, stays.id, goes).await
}

#[derive(FromRow)]
struct JobRow {
    id: JobId,
    kind: String,
    route: String,
    conversation_id: ConversationId,
    ordered: bool,
    sequence: i64,
    parked: bool,
    held: bool,
}

/// The unfinished and parked jobs of both conversations, locked.
async fn standing_jobs(
    connection: &mut PgConnection,
    stays: ConversationId,
    goes: ConversationId,
) -> Result<Vec<StandingJob>> {
    // store::merge (jobs)
    let rows: Vec<JobRow> = sqlx::query_as(
        "SELECT id, kind, route, conversation_id, lane IS NOT NULL AS ordered, sequence, parked_at IS NOT NULL AS parked,
             lease_token IS NOT NULL AS held
         FROM jobs WHERE conversation_id IN ($1, $2) ORDER BY id FOR UPDATE",
    )
    .bind(stays)
    .bind(goes)
    .fetch_all(connection)
    .await?;
    let job = |row: JobRow| {
        let JobRow { id, kind, route, conversation_id: conversation, ordered, sequence, parked, held } = row;
        let kind = JobKind::parse(&kind)?;
        Some(StandingJob { id, kind, route, conversation, ordered, sequence, parked, held })
    };
    Ok(rows.into_iter().filter_map(job).collect())
}

async fn place(connection: &mut PgConnection, stays: ConversationId, places: &[Place]) -> Result<()> {
    // store::merge (places)
    sqlx::query(
        "UPDATE jobs j SET conversation_id = $5, lane = n.lane, sequence = n.sequence, blocked = n.blocked
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::boolean[]) AS n (id, lane, sequence, blocked)
         WHERE j.id = n.id AND j.id = ANY($1)",
    )
    .bind(places.iter().map(|place| place.job).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.lane.as_ref().map(Lane::as_str)).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.sequence).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.blocked).collect::<Vec<_>>())
    .bind(stays)
    .execute(connection)
    .await?;
    Ok(())
}

/// Messages, and what handlers and rules keep. Events stay where they were stored: there are too many of them.
async fn take_over(connection: &mut PgConnection, stays: ConversationId, goes: ConversationId) -> Result<()> {
    let statements = [
        // Messages are locked in the order of their ids, as everywhere.
        "WITH locked AS (SELECT id FROM messages WHERE conversation_id = $2 ORDER BY id FOR UPDATE)
         UPDATE messages m SET conversation_id = $1 FROM locked WHERE m.id = locked.id",
        "UPDATE sends s SET conversation_id = $1 FROM messages m
         WHERE m.conversation_id = $1 AND s.message_id = m.id AND s.conversation_id = $2",
        "INSERT INTO handler_state AS s (route, conversation_id, state, updated_at)
         SELECT route, $1, state, updated_at FROM handler_state WHERE conversation_id = $2
         ON CONFLICT (route, conversation_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at
             WHERE excluded.updated_at > s.updated_at",
        "DELETE FROM handler_state WHERE conversation_id = $2 AND $1 <> $2",
        "INSERT INTO rule_uses AS u (route, rule, conversation_id, used_at)
         SELECT route, rule, $1, used_at FROM rule_uses WHERE conversation_id = $2
         ON CONFLICT (route, rule, conversation_id) DO UPDATE SET used_at = greatest(u.used_at, excluded.used_at)",
        "DELETE FROM rule_uses WHERE conversation_id = $2 AND $1 <> $2",
    ];
    for statement in statements {
        // store::merge (what it held)
        sqlx::query(statement).bind(stays).bind(goes).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What is the customer's own, and the end of the absorbed one.
async fn hand_over(connection: &mut PgConnection, merge: Merge) -> Result<()> {
    let statements = [
        "UPDATE conversations SET customer_id = $1 WHERE customer_id = $2",
        // Either opt-out holds.
        "UPDATE customers s SET opted_out_at = least(s.opted_out_at, a.opted_out_at),
             opted_out_by = CASE WHEN s.opted_out_at <= a.opted_out_at OR a.opted_out_at IS NULL THEN s.opted_out_by
                 ELSE a.opted_out_by END,
             created_at = least(s.created_at, a.created_at)
         FROM customers a WHERE s.id = $1 AND a.id = $2",
        "UPDATE identities SET customer_id = $1 WHERE customer_id = $2",
    ];
    for statement in statements {
        // store::merge (customer)
        sqlx::query(statement).bind(merge.survivor).bind(merge.absorbed).execute(&mut *connection).await?;
    }
    // store::merge (former id)
    sqlx::query(
        "INSERT INTO identities (account, kind, value, customer_id)
         SELECT account, $3, $4, $1 FROM customers WHERE id = $2",
    )
    .bind(merge.survivor)
    .bind(merge.absorbed)
    .bind(IdentityKind::FormerId.as_str())
    .bind(merge.absorbed.to_string())
    .execute(&mut *connection)
    .await?;
    // store::merge (gone)
    sqlx::query("DELETE FROM customers WHERE id = $1").bind(merge.absorbed).execute(connection).await?;
    Ok(())
}
