//! What time settles: sends without an answer, and jobs whose route or account nobody knows.

use sqlx::FromRow;

use super::{PostgresStore, queue, send};
use crate::model::id::JobId;
use crate::model::job::Attempt;
use crate::model::message::OwnState;
use crate::store::Result;
use crate::store::rows::{SendingRow, duration_ms, millis, timestamp};
use crate::store::work::{Answer, Departure, RouteKnowledge, SendAnswered, Swept};

pub(super) async fn sweep(store: &PostgresStore, known: &RouteKnowledge) -> Result<Swept> {
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
async fn give_up(store: &PostgresStore) -> Result<u64> {
    // store::sweep (unanswered)
    let rows: Vec<Unanswered> = sqlx::query_as(
        "SELECT j.id AS job_id, j.lease_token::text AS token, j.attempts, v.id AS message_id, v.account,
             v.conversation_id, v.origin, v.business, v.phone, v.user_id, v.content, v.fallback, v.callback_data,
             v.campaign, v.dispatch_order, j.dispatched_at,
             -- A status may have made the fallback the newest one meanwhile.
             (SELECT max(s.number) FROM sends s WHERE s.message_id = j.message_id AND s.dispatched_at = j.dispatched_at)
                 AS number
         FROM jobs j JOIN message_view v ON v.id = j.message_id
         -- Also one behind another in its lane: their conversations have become one.
         WHERE j.parked_at IS NULL AND j.dispatched_at IS NOT NULL
           AND j.lease_until <= switchboard_now($1)
         ORDER BY j.id LIMIT 100",
    )
    .bind(store.clock.offset_ms())
    .fetch_all(&store.pool)
    .await?;
    let mut given_up = 0;
    for row in rows {
        let sending = row.sending.into_sending()?;
        let detail = Some("the lease ended before an answer came".to_owned());
        let attempt = Attempt {
            number: sending.attempt,
            at: timestamp(row.dispatched_at),
            duration_ms: millis(store.clock.now()) - row.dispatched_at,
            outcome: "unconfirmed".to_owned(),
            detail,
        };
        let departure = Departure { number: row.number.unwrap_or(1), at: timestamp(row.dispatched_at) };
        let answered = SendAnswered { departure, attempt, answer: Answer::Unknown };
        let settled = send::settle_answer(store, &sending, &answered).await?;
        // A status may have told meanwhile that it was sent.
        given_up += u64::from(settled == Some(OwnState::Unconfirmed));
    }
    Ok(given_up)
}

/// Notes what this instance knows, and parks what nobody has known for as long as anybody was patient.
async fn forget(store: &PostgresStore, known: &RouteKnowledge) -> Result<u64> {
    let now = millis(store.clock.now());
    let mut keys = known.keys();
    keys.sort_unstable();
    // store::sweep (known)
    let noted = sqlx::query(
        "INSERT INTO settings AS s (key, value, updated_at) SELECT key, '', switchboard_now($2) FROM unnest($1::text[]) AS k (key)
         ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at
             -- Once a minute is enough, and an idle instance writes nothing in between.
             WHERE excluded.updated_at > s.updated_at + 60000",
    )
    .bind(&keys)
    .bind(store.clock.offset_ms())
    .execute(&store.pool)
    .await?;
    // Somebody of all instances notes them once a minute, and looks for the forgotten ones then.
    if noted.rows_affected() == 0 && !keys.is_empty() {
        return Ok(0);
    }
    let mut tx = store.pool.begin().await?;
    // store::sweep (forgotten)
    let forgotten: Vec<JobId> = sqlx::query_scalar(
        "SELECT j.id FROM jobs j
         WHERE j.parked_at IS NULL AND j.due_at <= switchboard_now($2) - $1
           AND CASE j.kind WHEN 'deliver' THEN j.lease_until IS NULL
               -- A send whose claim ended before its request left waits for a claim like any other.
               ELSE j.dispatched_at IS NULL AND coalesce(j.lease_until, 0) <= switchboard_now($2) END
           AND NOT EXISTS (
               SELECT FROM settings s
               WHERE s.key = CASE j.kind WHEN 'deliver' THEN 'route/' || j.route ELSE 'account/' || j.account END
                 AND s.updated_at > switchboard_now($2) - $1)
           -- Nobody is expected to take what is paused.
           AND NOT EXISTS (
               SELECT FROM settings p
               WHERE p.key = CASE j.kind WHEN 'deliver' THEN 'pause/route/' || j.route ELSE 'pause/sends' END)
         ORDER BY j.id LIMIT 1000",
    )
    .bind(duration_ms(known.patience))
    .bind(store.clock.offset_ms())
    .fetch_all(&mut *tx)
    .await?;
    if forgotten.is_empty() {
        return Ok(0);
    }
    queue::lock_of_jobs(&mut tx, &forgotten, &[]).await?;
    // store::sweep (parked)
    let parked: Vec<String> = sqlx::query_scalar(
        "UPDATE jobs j SET parked_at = $2, lease_token = NULL, lease_until = NULL,
             last_error = CASE j.kind WHEN 'deliver' THEN 'no instance knows the route ' || j.route
                 ELSE 'no instance has the account ' || j.account || ': configure it again and retry the job, or discard it' END
         WHERE j.id = ANY($1) AND j.parked_at IS NULL AND j.dispatched_at IS NULL
           -- Somebody may have claimed it meanwhile.
           AND coalesce(j.lease_until, 0) <= switchboard_now($3)
         RETURNING coalesce(j.lane, '')",
    )
    .bind(&forgotten)
    .bind(now)
    .bind(store.clock.offset_ms())
    .fetch_all(&mut *tx)
    .await?;
    let next = queue::promote(&mut tx, &parked).await?;
    tx.commit().await?;
    store.heads.back_to(&next);
    Ok(u64::try_from(parked.len()).unwrap_or(u64::MAX))
}
