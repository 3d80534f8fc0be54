//! Settling a send by its answer, or by what a person found out.

use sqlx::SqliteConnection;

use super::super::{SqliteStore, journal, outbox};
use super::rate::hold;
use super::write_fate;
use crate::model::id::MessageId;
use crate::model::message::{Message, OwnState};
use crate::store::Result;
use crate::store::plan::sending::{self, Holder, JobView, Tells};
use crate::store::rows::{MessageRow, SendJobRow, millis};
use crate::store::work::{Answer, Resolution, SendAnswered, SendResult, Sending};

pub(in crate::store::sqlite) async fn settle_send(
    store: &SqliteStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<SendResult> {
    let settled = settle_answer(store, sending, answered).await?;
    Ok(settled.map_or(SendResult::Superseded, |_| SendResult::Applied))
}

/// Settles a send, and says what we know of its message then; `None` when it was settled otherwise meanwhile.
pub(in crate::store::sqlite) async fn settle_answer(
    store: &SqliteStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<Option<OwnState>> {
    let mut tx = store.write().await?;
    let holder = holder(&mut tx, sending, &answered.answer).await?;
    let ids: Vec<MessageId> = std::iter::once(sending.message).chain(holder.observed()).collect();
    let records = journal::load(&mut tx, &ids).await?;
    let (record, observed): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.id == sending.message);
    let job = job_of(&mut tx, sending.message).await?;
    let now = store.clock.now();
    let Some(answer) = sending::answer(record, observed, holder, job, answered, now) else {
        // Whatever settled it may not be committed yet.
        tx.commit().await?;
        return Ok(None);
    };
    write_answer(store, &mut tx, sending, &answer, answered).await?;
    tx.commit().await?;
    Ok(Some(answer.record.own))
}

async fn write_answer(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    sending: &Sending,
    answer: &sending::Answered,
    answered: &SendAnswered,
) -> Result<()> {
    let now = store.clock.now();
    if let Some(observed) = answer.absorbed {
        // store::settle_send (observed before)
        sqlx::query("DELETE FROM messages WHERE id = $1").bind(observed).execute(&mut *connection).await?;
    }
    journal::update(connection, std::slice::from_ref(&answer.record), millis(now)).await?;
    // As it is now: a merge may have put the message into another since it was claimed.
    let conversation = answer.record.conversation.unwrap_or(sending.conversation);
    match answer.tells {
        Tells::Nothing => {}
        Tells::WindowClosed => {
            journal::close_windows(connection, &[(conversation, answered.departure.at)].into()).await?;
        }
        Tells::OptedOut => journal::opt_out(connection, conversation, millis(now)).await?,
    }
    write_fate(store, connection, answer.finished.as_ref(), answer.postponed.as_ref(), millis(now)).await?;
    if answer.clears_fence {
        // store::settle_send (not processed)
        sqlx::query(
            "UPDATE jobs SET dispatched_at = NULL, first_attempt_at = CASE WHEN $2 THEN NULL ELSE first_attempt_at END
             WHERE message_id = $1",
        )
        .bind(sending.message)
        .bind(answer.begins_anew)
        .execute(&mut *connection)
        .await?;
    }
    if answer.requeue {
        outbox::enqueue(store, connection, conversation, sending.message).await?;
    }
    if let Answer::NotProcessed { after, drain: true } = &answered.answer {
        hold(connection, &sending.account, *after, millis(now)).await?;
    }
    Ok(())
}

/// Which other message holds the accepted id.
async fn holder(connection: &mut SqliteConnection, sending: &Sending, answer: &Answer) -> Result<Holder> {
    let Answer::Accepted(id) = answer else {
        return Ok(Holder::Nobody);
    };
    // store::settle_send (holder of the id)
    let found: Option<(MessageId, String)> = sqlx::query_as(
        "SELECT s.message_id, m.origin FROM sends s JOIN messages m ON m.id = s.message_id
         WHERE s.account = $1 AND s.provider_message_id = $2 AND m.id <> $3",
    )
    .bind(&sending.account)
    .bind(id)
    .bind(sending.message)
    .fetch_optional(connection)
    .await?;
    Ok(Holder::of(found))
}

async fn job_of(connection: &mut SqliteConnection, message: MessageId) -> Result<Option<JobView>> {
    // store::settle_send (job)
    let row: Option<SendJobRow> =
        sqlx::query_as("SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE message_id = $1")
            .bind(message)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(SendJobRow::into_view))
}

pub(in crate::store::sqlite) async fn resolve(
    store: &SqliteStore,
    message: MessageId,
    resolution: Resolution,
) -> Result<Message> {
    let mut tx = store.write().await?;
    let record = journal::load(&mut tx, &[message]).await?.pop();
    let conversation = record.as_ref().and_then(|record| record.conversation);
    let Some(conversation) = conversation else {
        return Err(sending::NOT_UNCONFIRMED);
    };
    let record = sending::resolve(record, resolution, store.clock.now())?;
    journal::update(&mut tx, std::slice::from_ref(&record), millis(store.clock.now())).await?;
    if resolution == Resolution::NotSent {
        outbox::enqueue(store, &mut tx, conversation, message).await?;
    }
    // store::resolve (answer)
    let row: MessageRow =
        sqlx::query_as("SELECT * FROM message_view WHERE id = $1").bind(message).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(row.into_message())
}
