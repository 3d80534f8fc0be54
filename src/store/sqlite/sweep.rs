//! What time settles: sends without an answer, and jobs whose route or account nobody knows.

use sqlx::FromRow;

use super::{SqliteStore, json, queue, send};
use crate::model::job::Attempt;
use crate::model::message::OwnState;
use crate::store::Result;
use crate::store::rows::{SendingRow, duration_ms, millis, timestamp};
use crate::store::work::{Answer, Departure, RouteKnowledge, SendAnswered, Swept};

pub(super) async fn sweep(store: &SqliteStore, known: &RouteKnowledge) -> Result<Swept> {
    Ok(Swept { unconfirmed: give_up(store).await?, forgotten: forget(store, known).await? })
}

#[derive(FromRow)]
struct Unanswered {
    #[sqlx(flatten)]
    sending: SendingRow,
    dispatched_at: i64,
    number: Option<i64>,
}

/// A lease that ended after the request left: whether it was sent nobody knows. Whoever held it may still bring the answer.
async fn give_up(store: &SqliteStore) -> Result<u64> {
    // store::sweep (unanswered)
    let rows: Vec<Unanswered> = sqlx::query_as(
        "SELECT j.id AS job_id, j.lease_token AS token, j.attempts, v.id AS message_id, v.account,
             v.conversation_id, v.origin, v.business, v.phone, v.user_id, v.content, v.fallback, v.callback_data,
             v.campaign, v.dispatch_order, j.dispatched_at,
             -- A status may have made the fallback the newest one meanwhile.
             (SELECT max(s.number) FROM sends s WHERE s.message_id = j.message_id AND s.dispatched_at = j.dispatched_at)
                 AS number
         FROM jobs j INDEXED BY jobs_under_way JOIN message_view v ON v.id = j.message_id
         -- Also one behind another in its lane: their conversations have become one.
         WHERE j.parked_at IS NULL AND j.dispatched_at IS NOT NULL AND j.lease_until <= $1
         ORDER BY j.id LIMIT 100",
    )
    .bind(millis(store.clock.now()))
    .fetch_all(&store.readers)
    .await?;
    let mut given_up = 0;
    for row in rows {
        let sending = row.sending.into_sending()?;
        let detail = Some("the lease ended before an answer came".to_owned());
        let dispatched_at = timestamp(row.dispatched_at);
        let attempt = Attempt {
            number: sending.attempt,
            at: dispatched_at,
            duration_ms: millis(store.clock.now()) - row.dispatched_at,
            outcome: "unconfirmed".to_owned(),
            detail,
        };
        let departure = Departure { number: row.number.unwrap_or(1), at: dispatched_at };
        let answered = SendAnswered { departure, attempt, answer: Answer::Unknown };
        let settled = send::settle_answer(store, &sending, &answered).await?;
        // A status may have told meanwhile that it was sent.
        given_up += u64::from(settled == Some(OwnState::Unconfirmed));
    }
    Ok(given_up)
}

/// Notes what this instance knows, and parks what nobody has known for as long as anybody was patient.
async fn forget(store: &SqliteStore, known: &RouteKnowledge) -> Result<u64> {
    let now = millis(store.clock.now());
    let keys = known.keys();
    // Once a minute every waiting job is looked at.
    let mut tx = store.write_alone().await?;
    // store::sweep (known)
    let noted = sqlx::query(
        "INSERT INTO settings (key, value, updated_at) SELECT value, '', $2 FROM jsonb_each($1)
         WHERE true
         ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at
             -- Once a minute is enough, and an idle service writes nothing in between.
             WHERE excluded.updated_at > settings.updated_at + 60000",
    )
    .bind(json(&keys)?)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    // Somebody of all instances notes them once a minute, and looks for the forgotten ones then.
    if noted.rows_affected() == 0 && !keys.is_empty() {
        tx.commit().await?;
        return Ok(0);
    }
    // store::sweep (forgotten)
    let lanes: Vec<Option<String>> = sqlx::query_scalar(
        "UPDATE jobs SET parked_at = $1, lease_token = NULL, lease_until = NULL,
             last_error = CASE kind WHEN 'deliver' THEN 'no instance knows the route ' || route
                 ELSE 'no instance has the account ' || account || ': configure it again and retry the job, or discard it' END
         WHERE parked_at IS NULL AND due_at <= $1 - $2
           AND CASE kind WHEN 'deliver' THEN lease_until IS NULL
               -- A send whose claim ended before its request left waits for a claim like any other.
               ELSE dispatched_at IS NULL AND coalesce(lease_until, 0) <= $1 END
           AND NOT EXISTS (
               SELECT 1 FROM settings s
               WHERE s.key = CASE jobs.kind WHEN 'deliver' THEN 'route/' || jobs.route ELSE 'account/' || jobs.account END
                 AND s.updated_at > $1 - $2)
           -- Nobody is expected to take what is paused.
           AND NOT EXISTS (
               SELECT 1 FROM settings p
               WHERE p.key = CASE jobs.kind WHEN 'deliver' THEN 'pause/route/' || jobs.route ELSE 'pause/sends' END)
         RETURNING lane",
    )
    .bind(now)
    .bind(duration_ms(known.patience))
    .fetch_all(&mut *tx)
    .await?;
    let parked = u64::try_from(lanes.len()).unwrap_or(u64::MAX);
    queue::promote(&mut tx, lanes).await?;
    tx.commit().await?;
    Ok(parked)
}
