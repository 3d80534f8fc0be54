//! Two customers that are one: everything of the absorbed one goes to the survivor, in the transaction of the group that
//! showed it.
//!
//! The absorbed customer's row is deleted; the id lives on as an identity of the survivor.

use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::json;
use crate::model::conversation::Window;
use crate::model::id::{ConversationId, EventId, JobId};
use crate::model::job::{JobKind, Lane};
use crate::store::Result;
use crate::store::plan::merge::{ConversationRecord, Place, StandingJob, join, line_up, pairs};
use crate::store::plan::people::{IdentityKind, Merge};
use crate::store::rows::{millis, timestamp};

/// Carries merges out, one after the other.
pub(super) async fn merge(connection: &mut SqliteConnection, merges: &[Merge]) -> Result<()> {
    for merge in merges {
        for (stays, goes) in pairs(conversations(connection, *merge).await?) {
            unite(connection, join(stays, &goes), goes.id).await?;
        }
        hand_over(connection, *merge).await?;
    }
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

async fn conversations(connection: &mut SqliteConnection, merge: Merge) -> Result<Vec<ConversationRecord>> {
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
    connection: &mut SqliteConnection,
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

/// The unfinished and parked jobs of both conversations.
async fn standing_jobs(
    connection: &mut SqliteConnection,
    stays: ConversationId,
    goes: ConversationId,
) -> Result<Vec<StandingJob>> {
    // store::merge (jobs)
    let rows: Vec<JobRow> = sqlx::query_as(
        "SELECT id, kind, route, conversation_id, lane IS NOT NULL AS ordered, sequence, parked_at IS NOT NULL AS parked,
             lease_token IS NOT NULL AS held
         FROM jobs WHERE conversation_id IN ($1, $2) ORDER BY id",
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

#[derive(Serialize)]
struct PlaceColumns<'a> {
    id: JobId,
    lane: Option<&'a str>,
    sequence: i64,
    blocked: bool,
}

async fn place(connection: &mut SqliteConnection, stays: ConversationId, places: &[Place]) -> Result<()> {
    let columns = places.iter().map(|place| PlaceColumns {
        id: place.job,
        lane: place.lane.as_ref().map(Lane::as_str),
        sequence: place.sequence,
        blocked: place.blocked,
    });
    let rows: Vec<_> = columns.collect();
    // store::merge (places)
    sqlx::query(
        "UPDATE jobs SET conversation_id = $2, lane = n.lane, sequence = n.sequence, blocked = n.blocked
         FROM (SELECT value ->> 'id' AS id, value ->> 'lane' AS lane, value ->> 'sequence' AS sequence,
                   value ->> 'blocked' AS blocked
               FROM jsonb_each($1)) AS n
         WHERE jobs.id = n.id",
    )
    .bind(json(&rows)?)
    .bind(stays)
    .execute(connection)
    .await?;
    Ok(())
}

/// Messages, and what handlers and rules keep. Events stay where they were stored: there are too many of them.
async fn take_over(
    connection: &mut SqliteConnection,
    stays: ConversationId,
    goes: ConversationId,
) -> Result<()> {
    let statements = [
        "UPDATE messages SET conversation_id = $1 WHERE conversation_id = $2",
        "UPDATE sends SET conversation_id = $1 FROM messages m
         WHERE m.conversation_id = $1 AND sends.message_id = m.id AND sends.conversation_id = $2",
        "INSERT INTO handler_state AS s (route, conversation_id, state, updated_at)
         SELECT route, $1, state, updated_at FROM handler_state WHERE conversation_id = $2
         ON CONFLICT (route, conversation_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at
             WHERE excluded.updated_at > s.updated_at",
        "DELETE FROM handler_state WHERE conversation_id = $2 AND $1 <> $2",
        "INSERT INTO rule_uses AS u (route, rule, conversation_id, used_at)
         SELECT route, rule, $1, used_at FROM rule_uses WHERE conversation_id = $2
         ON CONFLICT (route, rule, conversation_id) DO UPDATE SET used_at = max(u.used_at, excluded.used_at)",
        "DELETE FROM rule_uses WHERE conversation_id = $2 AND $1 <> $2",
    ];
    for statement in statements {
        // store::merge (what it held)
        sqlx::query(statement).bind(stays).bind(goes).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What is the customer's own, and the end of the absorbed one.
async fn hand_over(connection: &mut SqliteConnection, merge: Merge) -> Result<()> {
    let statements = [
        "UPDATE conversations SET customer_id = $1 WHERE customer_id = $2",
        // Either opt-out holds.
        "UPDATE customers AS s SET opted_out_at = min(coalesce(s.opted_out_at, a.opted_out_at),
                 coalesce(a.opted_out_at, s.opted_out_at)),
             opted_out_by = CASE WHEN s.opted_out_at <= a.opted_out_at OR a.opted_out_at IS NULL THEN s.opted_out_by
                 ELSE a.opted_out_by END,
             created_at = min(s.created_at, a.created_at)
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
