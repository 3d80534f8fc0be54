//! Settling a send by its answer, or by what a person found out.

use sqlx::PgConnection;

use super::super::{PostgresStore, journal, outbox, queue};
use super::rate::hold;
use super::write_fate;
use crate::model::id::{ConversationId, MessageId};
use crate::model::message::{Message, OwnState};
use crate::store::Result;
use crate::store::plan::sending::{self, Holder, JobView, Tells};
use crate::store::rows::{MessageRow, SendJobRow, millis};
use crate::store::work::{Answer, Resolution, SendAnswered, SendResult, Sending};

pub(in crate::store::postgres) async fn settle_send(
    store: &PostgresStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<SendResult> {
    let settled = settle_answer(store, sending, answered).await?;
    Ok(settled.map_or(SendResult::Superseded, |_| SendResult::Applied))
}

/// Settles a send, and says what we know of its message then; `None` when it was settled otherwise meanwhile.
pub(in crate::store::postgres) async fn settle_answer(
    store: &PostgresStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<Option<OwnState>> {
    let mut tx = store.pool.begin().await?;
    if matches!(answered.answer, Answer::OptedOut(_)) {
        lock_customer(&mut tx, sending.conversation).await?;
    }
    let Some(conversation) = queue::lock_of_message(&mut tx, sending.message).await? else {
        return Ok(None);
    };
    let holder = holder(&mut tx, sending, &answered.answer).await?;
    let ids: Vec<MessageId> = std::iter::once(sending.message).chain(holder.observed()).collect();
    let records = journal::load(&mut tx, &ids).await?;
    let (record, observed): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.id == sending.message);
    let job = job_of(&mut tx, sending.message).await?;
    let now = store.clock.now();
    let Some(answer) = sending::answer(record, observed, holder, job, answered, now) else {
        tx.rollback().await?;
        return Ok(None);
    };
    if let Some(observed) = answer.absorbed {
        // store::settle_send (observed before)
        sqlx::query("DELETE FROM messages WHERE id = $1").bind(observed).execute(&mut *tx).await?;
    }
    journal::update(&mut tx, std::slice::from_ref(&answer.record), millis(now)).await?;
    match answer.tells {
        Tells::Nothing => {}
        Tells::WindowClosed => {
            journal::close_windows(&mut tx, &[(conversation, answered.departure.at)].into()).await?;
        }
        Tells::OptedOut => journal::opt_out(&mut tx, conversation, millis(now)).await?,
    }
    write_fate(store, &mut tx, answer.finished.as_ref(), answer.postponed.as_ref(), millis(now)).await?;
    if answer.clears_fence {
        // store::settle_send (not processed)
        sqlx::query(
            "UPDATE jobs SET dispatched_at = NULL, first_attempt_at = CASE WHEN $2 THEN NULL ELSE first_attempt_at END
             WHERE message_id = $1",
        )
        .bind(sending.message)
        .bind(answer.begins_anew)
        .execute(&mut *tx)
        .await?;
    }
    if answer.requeue {
        outbox::enqueue(store, &mut tx, conversation, sending.message).await?;
    }
    if let Answer::NotProcessed { after, drain: true } = &answered.answer {
        hold(store, &mut tx, &sending.account, *after).await?;
    }
    tx.commit().await?;
    Ok(Some(answer.record.own))
}

/// Locks the customer who is opted out, before any conversation, in the order that everybody takes them in.
async fn lock_customer(connection: &mut PgConnection, conversation: ConversationId) -> Result<()> {
    // store::settle_send (customer)
    sqlx::query(
        "SELECT id FROM customers WHERE id = (SELECT c.customer_id FROM conversations c WHERE c.id = $1) FOR NO KEY UPDATE",
    )
    .bind(conversation)
    .execute(connection)
    .await?;
    Ok(())
}

/// Which other message holds the accepted id.
async fn holder(connection: &mut PgConnection, sending: &Sending, answer: &Answer) -> Result<Holder> {
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

async fn job_of(connection: &mut PgConnection, message: MessageId) -> Result<Option<JobView>> {
    // store::settle_send (job)
    let row: Option<SendJobRow> = sqlx::query_as(
        "SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE message_id = $1 FOR UPDATE",
    )
    .bind(message)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(SendJobRow::into_view))
}

pub(in crate::store::postgres) async fn resolve(
    store: &PostgresStore,
    message: MessageId,
    resolution: Resolution,
) -> Result<Message> {
    let mut tx = store.pool.begin().await?;
    let Some(conversation) = queue::lock_of_message(&mut tx, message).await? else {
        return Err(sending::NOT_UNCONFIRMED);
    };
    let record = journal::load(&mut tx, &[message]).await?.pop();
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
