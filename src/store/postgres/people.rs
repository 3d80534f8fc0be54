//! Customers and conversations of a group.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::by_key::for_each;
use super::{PostgresStore, merge};
use crate::connectly::event::party::Party;
use crate::model::conversation::Window;
use crate::model::id::{ConversationId, ConversationTag, CustomerId};
use crate::store::plan::conversations::{ConversationKey, Deltas, LockedConversation};
use crate::store::plan::directory::Directory;
use crate::store::plan::people::{Changes, CustomerRecord, Identity, IdentityKind};
use crate::store::rows::{millis, timestamp};
use crate::store::{Result, StoreError};

/// Who is behind identities, as far as they are known.
#[derive(Default)]
pub(super) struct Known {
    identities: Vec<(Identity, CustomerId)>,
    customers: HashMap<CustomerId, CustomerRecord>,
}

impl Known {
    /// Adds a row of [`who_shows`].
    pub(super) fn add(&mut self, row: &PgRow) -> Result<()> {
        let Some(kind) = IdentityKind::parse(row.try_get("kind")?) else {
            return Ok(());
        };
        let (account, id): (String, CustomerId) = (row.try_get("account")?, row.try_get("id")?);
        self.identities.push((Identity { account: account.clone(), kind, value: row.try_get("value")? }, id));
        let opted_out_at: Option<i64> = row.try_get("opted_out_at")?;
        let record = CustomerRecord {
            id,
            account,
            phone: row.try_get("phone")?,
            user_id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            opted_out_at: opted_out_at.map(timestamp),
        };
        self.customers.insert(id, record);
        Ok(())
    }
}

/// The customers who have identities, given as three arrays: accounts, kinds and values.
macro_rules! who_shows {
    ($accounts:literal, $kinds:literal, $values:literal) => {
        concat!(
            "SELECT i.account, i.kind, i.value, c.id, c.phone, c.user_id, c.name, c.opted_out_at
             FROM unnest(",
            $accounts,
            "::text[], ",
            $kinds,
            "::text[], ",
            $values,
            "::text[])
                 AS k (account, kind, value) CROSS JOIN ",
            for_each!("identities i", "i.account = k.account AND i.kind = k.kind AND i.value = k.value"),
            " i CROSS JOIN ",
            for_each!("customers c", "c.id = i.customer_id"),
            " c"
        )
    };
}
pub(super) use who_shows;

/// Looks up the identities that a group shows.
pub(super) async fn load(connection: &mut PgConnection, shown: &[Identity]) -> Result<Known> {
    // store::identities
    let rows = sqlx::query(who_shows!("$1", "$2", "$3"))
        .bind(shown.iter().map(|identity| identity.account.as_str()).collect::<Vec<_>>())
        .bind(shown.iter().map(|identity| identity.kind.as_str()).collect::<Vec<_>>())
        .bind(shown.iter().map(|identity| identity.value.as_str()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let mut known = Known::default();
    for row in &rows {
        known.add(row)?;
    }
    Ok(known)
}

/// Finds or makes the customer of each party.
pub(super) async fn resolve(
    store: &PostgresStore,
    connection: &mut PgConnection,
    parties: &[(&str, &Party)],
    known: Known,
) -> Result<Vec<CustomerId>> {
    let mut directory = Directory::new(known.identities, known.customers.into_values().collect());
    let mut resolved: Vec<CustomerId> =
        parties.iter().map(|(account, party)| directory.resolve(account, party, || store.id())).collect();
    for customer in &mut resolved {
        *customer = directory.survivor(*customer);
    }
    let changes = directory.changes();
    if !changes.is_empty() {
        write(connection, &changes, &resolved, millis(store.clock.now())).await?;
    }
    Ok(resolved)
}

/// Another transaction may have met the same person first: then nothing of this one stands, and it is repeated.
async fn write(
    connection: &mut PgConnection,
    changes: &Changes,
    resolved: &[CustomerId],
    now: i64,
) -> Result<()> {
    insert_customers(connection, &changes.created, now).await?;
    if changes.merges.is_empty() {
        lock_customers(connection, &changes.touched()).await?;
    } else {
        lock_merging(connection, &changes.touched()).await?;
    }
    update_customers(connection, &changes.changed).await?;
    insert_identities(connection, &changes.added).await?;
    move_identities(connection, &changes.moved).await?;
    if changes.merges.is_empty() {
        return Ok(());
    }
    merge::merge(connection, &changes.merges, resolved).await
}

/// Locks customers who are changed, in one order, so that two groups cannot wait for each other. One that is gone was merged
/// by another transaction.
///
/// Others may refer to them meanwhile: a transaction that holds their conversation may have to look at them once more, when it
/// changes it twice.
pub(super) async fn lock_customers(connection: &mut PgConnection, customers: &[CustomerId]) -> Result<()> {
    if customers.is_empty() {
        return Ok(());
    }
    // store::commit (customers)
    let locked = sqlx::query("SELECT id FROM customers WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(customers)
        .fetch_all(connection)
        .await?;
    all_locked(locked.len(), customers)
}

/// Locks customers of whom some will be gone, against everybody.
async fn lock_merging(connection: &mut PgConnection, customers: &[CustomerId]) -> Result<()> {
    // store::commit (merging customers)
    let locked = sqlx::query("SELECT id FROM customers WHERE id = ANY($1) ORDER BY id FOR UPDATE")
        .bind(customers)
        .fetch_all(connection)
        .await?;
    all_locked(locked.len(), customers)
}

fn all_locked(locked: usize, customers: &[CustomerId]) -> Result<()> {
    if locked == customers.len() {
        return Ok(());
    }
    Err(StoreError::Contention("a customer was merged by another transaction".to_owned()))
}

async fn insert_customers(connection: &mut PgConnection, created: &[CustomerRecord], now: i64) -> Result<()> {
    if created.is_empty() {
        return Ok(());
    }
    // store::commit (new customers)
    sqlx::query(
        "INSERT INTO customers (id, account, phone, user_id, name, created_at)
         SELECT id, account, phone, user_id, name, $6
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (id, account, phone, user_id, name)",
    )
    .bind(created.iter().map(|customer| customer.id).collect::<Vec<_>>())
    .bind(created.iter().map(|customer| customer.account.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(|customer| customer.phone.as_deref()).collect::<Vec<_>>())
    .bind(created.iter().map(|customer| customer.user_id.as_deref()).collect::<Vec<_>>())
    .bind(created.iter().map(|customer| customer.name.as_deref()).collect::<Vec<_>>())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_customers(connection: &mut PgConnection, changed: &[CustomerRecord]) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    // store::commit (known customers)
    sqlx::query(
        "UPDATE customers c SET phone = n.phone, user_id = n.user_id, name = n.name
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS n (id, phone, user_id, name)
         WHERE c.id = n.id AND c.id = ANY($1)",
    )
    .bind(changed.iter().map(|customer| customer.id).collect::<Vec<_>>())
    .bind(changed.iter().map(|customer| customer.phone.as_deref()).collect::<Vec<_>>())
    .bind(changed.iter().map(|customer| customer.user_id.as_deref()).collect::<Vec<_>>())
    .bind(changed.iter().map(|customer| customer.name.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_identities(connection: &mut PgConnection, added: &[(Identity, CustomerId)]) -> Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    // store::commit (new identities)
    let inserted = sqlx::query(
        "INSERT INTO identities (account, kind, value, customer_id)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[])
         ON CONFLICT DO NOTHING",
    )
    .bind(added.iter().map(|(identity, _)| identity.account.as_str()).collect::<Vec<_>>())
    .bind(added.iter().map(|(identity, _)| identity.kind.as_str()).collect::<Vec<_>>())
    .bind(added.iter().map(|(identity, _)| identity.value.as_str()).collect::<Vec<_>>())
    .bind(added.iter().map(|(_, customer)| *customer).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    all(inserted.rows_affected(), added.len())
}

async fn move_identities(
    connection: &mut PgConnection,
    moved: &[(Identity, CustomerId, CustomerId)],
) -> Result<()> {
    for (identity, from, to) in moved {
        // store::commit (recycled numbers)
        let updated = sqlx::query(
            "UPDATE identities SET customer_id = $5
             WHERE account = $1 AND kind = $2 AND value = $3 AND customer_id = $4",
        )
        .bind(&identity.account)
        .bind(identity.kind.as_str())
        .bind(&identity.value)
        .bind(from)
        .bind(to)
        .execute(&mut *connection)
        .await?;
        all(updated.rows_affected(), 1)?;
    }
    Ok(())
}

/// Fewer rows than planned means that another transaction changed them first.
fn all(affected: u64, planned: usize) -> Result<()> {
    if usize::try_from(affected) == Ok(planned) {
        return Ok(());
    }
    Err(StoreError::Contention("an identity was assigned by another transaction".to_owned()))
}

/// Upserts and locks the group's conversations in the order of their keys, handing out sequence numbers.
pub(super) async fn lock_conversations(
    connection: &mut PgConnection,
    deltas: &Deltas,
    now: i64,
) -> Result<HashMap<ConversationKey, (LockedConversation, i64)>> {
    let rows: Vec<_> = deltas.rows().collect();
    // store::commit (conversations)
    let locked = sqlx::query(
        "INSERT INTO conversations AS c (id, account, business, business_name, customer_id, last_sequence,
             last_inbound_at, first_inbound_event, last_event_at, created_at)
         SELECT id, account, business, business_name, customer_id, sequences, inbound_at, first_inbound, event_at, $10
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[],
             $8::uuid[], $9::bigint[])
             AS d (id, account, business, business_name, customer_id, sequences, inbound_at, first_inbound, event_at)
         ON CONFLICT (account, business, customer_id) WHERE merged_into IS NULL DO UPDATE SET
             business_name = coalesce(excluded.business_name, c.business_name),
             last_sequence = c.last_sequence + excluded.last_sequence,
             last_inbound_at = greatest(c.last_inbound_at, excluded.last_inbound_at),
             -- A refusal holds until somebody writes after it.
             window_closed_at = CASE WHEN excluded.last_inbound_at > c.window_closed_at THEN NULL
                 ELSE c.window_closed_at END,
             first_inbound_event = coalesce(c.first_inbound_event, excluded.first_inbound_event),
             last_event_at = greatest(c.last_event_at, excluded.last_event_at)
         RETURNING c.id, c.account, c.business, c.customer_id, c.last_sequence, c.last_inbound_at, c.window_closed_at",
    )
    .bind(rows.iter().map(|row| row.candidate).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.key.account.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.key.business.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.business_name.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.key.customer).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.sequences).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.inbound_at.map(millis)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.first_inbound).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| millis(row.event_at)).collect::<Vec<_>>())
    .bind(now)
    .fetch_all(connection)
    .await?;
    let reserved: HashMap<_, _> = rows.iter().map(|row| (&row.key, row.sequences)).collect();
    let mut conversations = HashMap::with_capacity(locked.len());
    for row in locked {
        let key = ConversationKey {
            account: row.try_get("account")?,
            business: row.try_get("business")?,
            customer: row.try_get("customer_id")?,
        };
        let (inbound, closed): (Option<i64>, Option<i64>) =
            (row.try_get("last_inbound_at")?, row.try_get("window_closed_at")?);
        let window = Window { last_inbound_at: inbound.map(timestamp), closed_at: closed.map(timestamp) };
        let sequences = reserved.get(&key).copied().unwrap_or(0);
        let (id, last_sequence) = (row.try_get("id")?, row.try_get("last_sequence")?);
        conversations.insert(key.clone(), (LockedConversation { key, id, last_sequence, window }, sequences));
    }
    Ok(conversations)
}

/// A customer's conversation with a number, made if need be. It is not locked: that is done in one order for all.
pub(super) async fn conversation_with(
    store: &PostgresStore,
    connection: &mut PgConnection,
    account: &str,
    business: &str,
    customer: CustomerId,
    now: i64,
) -> Result<ConversationId> {
    // store::conversation_with (new)
    sqlx::query(
        "INSERT INTO conversations (id, account, business, customer_id, last_event_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (account, business, customer_id) WHERE merged_into IS NULL DO NOTHING",
    )
    .bind(store.id::<ConversationTag>())
    .bind(account)
    .bind(business)
    .bind(customer)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    // store::conversation_with
    let id = sqlx::query_scalar(
        "SELECT id FROM conversations
         WHERE account = $1 AND business = $2 AND customer_id = $3 AND merged_into IS NULL",
    )
    .bind(account)
    .bind(business)
    .bind(customer)
    .fetch_optional(connection)
    .await?;
    id.ok_or_else(|| StoreError::Contention("a conversation was merged by another transaction".to_owned()))
}
