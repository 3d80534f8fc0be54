//! Customers and conversations of a group.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};

use super::{SqliteStore, json, merge};
use crate::connectly::event::party::Party;
use crate::model::conversation::Window;
use crate::model::id::{ConversationId, ConversationTag, CustomerId, EventId};
use crate::store::Result;
use crate::store::plan::conversations::{ConversationDelta, ConversationKey, Deltas, LockedConversation};
use crate::store::plan::directory::Directory;
use crate::store::plan::people::{Changes, CustomerRecord, Identity, IdentityKind, shown};
use crate::store::rows::{millis, timestamp};

/// Finds or makes the customer of each party.
pub(super) async fn resolve(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    parties: &[(&str, &Party)],
) -> Result<Vec<CustomerId>> {
    let (known, customers) = load(connection, &shown(parties.iter().copied())).await?;
    let mut directory = Directory::new(known, customers);
    let mut resolved: Vec<CustomerId> =
        parties.iter().map(|(account, party)| directory.resolve(account, party, || store.id())).collect();
    for customer in &mut resolved {
        *customer = directory.survivor(*customer);
    }
    let changes = directory.changes();
    if !changes.is_empty() {
        write(connection, &changes, millis(store.clock.now())).await?;
    }
    Ok(resolved)
}

#[derive(Serialize)]
struct IdentityColumns<'a> {
    account: &'a str,
    kind: &'static str,
    value: &'a str,
    customer: Option<CustomerId>,
}

impl<'a> IdentityColumns<'a> {
    fn of(identity: &'a Identity, customer: Option<CustomerId>) -> Self {
        Self { account: &identity.account, kind: identity.kind.as_str(), value: &identity.value, customer }
    }
}

async fn load(
    connection: &mut SqliteConnection,
    shown: &[Identity],
) -> Result<(Vec<(Identity, CustomerId)>, Vec<CustomerRecord>)> {
    let asked: Vec<_> = shown.iter().map(|identity| IdentityColumns::of(identity, None)).collect();
    // store::commit (identities)
    let rows = sqlx::query(
        "SELECT i.account, i.kind, i.value, c.id, c.phone, c.user_id, c.name, c.opted_out_at
         FROM jsonb_each($1) AS k
         CROSS JOIN identities i
             ON i.account = k.value ->> 'account' AND i.kind = k.value ->> 'kind' AND i.value = k.value ->> 'value'
         CROSS JOIN customers c ON c.id = i.customer_id",
    )
    .bind(json(&asked)?)
    .fetch_all(connection)
    .await?;
    let mut known = Vec::with_capacity(rows.len());
    let mut customers = HashMap::new();
    for row in rows {
        let account: String = row.try_get("account")?;
        let id: CustomerId = row.try_get("id")?;
        let Some(kind) = IdentityKind::parse(row.try_get("kind")?) else {
            continue;
        };
        known.push((Identity { account: account.clone(), kind, value: row.try_get("value")? }, id));
        let opted_out_at: Option<i64> = row.try_get("opted_out_at")?;
        let record = CustomerRecord {
            id,
            account,
            phone: row.try_get("phone")?,
            user_id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            opted_out_at: opted_out_at.map(timestamp),
        };
        customers.insert(id, record);
    }
    Ok((known, customers.into_values().collect()))
}

async fn write(connection: &mut SqliteConnection, changes: &Changes, now: i64) -> Result<()> {
    insert_customers(connection, &changes.created, now).await?;
    update_customers(connection, &changes.changed).await?;
    insert_identities(connection, &changes.added).await?;
    move_identities(connection, &changes.moved).await?;
    merge::merge(connection, &changes.merges).await
}

#[derive(Serialize)]
struct CustomerColumns<'a> {
    id: CustomerId,
    account: &'a str,
    phone: Option<&'a str>,
    user_id: Option<&'a str>,
    name: Option<&'a str>,
}

fn customer_columns(customers: &[CustomerRecord]) -> Result<String> {
    let rows: Vec<_> = customers
        .iter()
        .map(|customer| CustomerColumns {
            id: customer.id,
            account: &customer.account,
            phone: customer.phone.as_deref(),
            user_id: customer.user_id.as_deref(),
            name: customer.name.as_deref(),
        })
        .collect();
    json(&rows)
}

async fn insert_customers(
    connection: &mut SqliteConnection,
    created: &[CustomerRecord],
    now: i64,
) -> Result<()> {
    if created.is_empty() {
        return Ok(());
    }
    // store::commit (new customers)
    sqlx::query(
        "INSERT INTO customers (id, account, phone, user_id, name, created_at)
         SELECT value ->> 'id', value ->> 'account', value ->> 'phone', value ->> 'user_id', value ->> 'name', $2
         FROM jsonb_each($1)",
    )
    .bind(customer_columns(created)?)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_customers(connection: &mut SqliteConnection, changed: &[CustomerRecord]) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    // store::commit (known customers)
    sqlx::query(
        "UPDATE customers SET phone = n.phone, user_id = n.user_id, name = n.name
         FROM (SELECT value ->> 'id' AS id, value ->> 'phone' AS phone, value ->> 'user_id' AS user_id,
                   value ->> 'name' AS name
               FROM jsonb_each($1)) AS n
         WHERE customers.id = n.id",
    )
    .bind(customer_columns(changed)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_identities(
    connection: &mut SqliteConnection,
    added: &[(Identity, CustomerId)],
) -> Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        added.iter().map(|(identity, customer)| IdentityColumns::of(identity, Some(*customer))).collect();
    // store::commit (new identities)
    sqlx::query(
        "INSERT INTO identities (account, kind, value, customer_id)
         SELECT value ->> 'account', value ->> 'kind', value ->> 'value', value ->> 'customer' FROM jsonb_each($1)",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn move_identities(
    connection: &mut SqliteConnection,
    moved: &[(Identity, CustomerId, CustomerId)],
) -> Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        moved.iter().map(|(identity, _, to)| IdentityColumns::of(identity, Some(*to))).collect();
    // store::commit (recycled numbers)
    sqlx::query(
        "UPDATE identities SET customer_id = n.customer
         FROM (SELECT value ->> 'account' AS account, value ->> 'kind' AS kind, value ->> 'value' AS value,
                   value ->> 'customer' AS customer
               FROM jsonb_each($1)) AS n
         WHERE identities.account = n.account AND identities.kind = n.kind AND identities.value = n.value",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct DeltaColumns<'a> {
    id: ConversationId,
    account: &'a str,
    business: &'a str,
    business_name: Option<&'a str>,
    customer: CustomerId,
    sequences: i64,
    inbound_at: Option<i64>,
    first_inbound: Option<EventId>,
    event_at: i64,
}

impl<'a> DeltaColumns<'a> {
    fn of(row: &'a ConversationDelta) -> Self {
        Self {
            id: row.candidate,
            account: &row.key.account,
            business: &row.key.business,
            business_name: row.business_name.as_deref(),
            customer: row.key.customer,
            sequences: row.sequences,
            inbound_at: row.inbound_at.map(millis),
            first_inbound: row.first_inbound,
            event_at: millis(row.event_at),
        }
    }
}

/// Upserts the group's conversations, handing out sequence numbers.
pub(super) async fn lock_conversations(
    connection: &mut SqliteConnection,
    deltas: &Deltas,
    now: i64,
) -> Result<HashMap<ConversationKey, (LockedConversation, i64)>> {
    let rows: Vec<_> = deltas.rows().map(DeltaColumns::of).collect();
    // store::commit (conversations)
    let locked = sqlx::query(
        "INSERT INTO conversations AS c (id, account, business, business_name, customer_id, last_sequence,
             last_inbound_at, first_inbound_event, last_event_at, created_at)
         SELECT value ->> 'id', value ->> 'account', value ->> 'business', value ->> 'business_name',
             value ->> 'customer', value ->> 'sequences', value ->> 'inbound_at', value ->> 'first_inbound',
             value ->> 'event_at', $2
         FROM jsonb_each($1)
         WHERE true
         ON CONFLICT (account, business, customer_id) WHERE merged_into IS NULL DO UPDATE SET
             business_name = coalesce(excluded.business_name, c.business_name),
             last_sequence = c.last_sequence + excluded.last_sequence,
             -- The greater one, or the only one there is: max() of anything and NULL is NULL.
             last_inbound_at = max(coalesce(c.last_inbound_at, excluded.last_inbound_at),
                 coalesce(excluded.last_inbound_at, c.last_inbound_at)),
             -- A refusal holds until somebody writes after it.
             window_closed_at = CASE WHEN excluded.last_inbound_at > c.window_closed_at THEN NULL
                 ELSE c.window_closed_at END,
             first_inbound_event = coalesce(c.first_inbound_event, excluded.first_inbound_event),
             last_event_at = max(c.last_event_at, excluded.last_event_at)
         RETURNING id, account, business, customer_id, last_sequence, last_inbound_at, window_closed_at",
    )
    .bind(json(&rows)?)
    .bind(now)
    .fetch_all(connection)
    .await?;
    let reserved: HashMap<_, _> = deltas.rows().map(|row| (&row.key, row.sequences)).collect();
    let mut conversations = HashMap::with_capacity(locked.len());
    for row in locked {
        let key = ConversationKey {
            account: row.try_get("account")?,
            business: row.try_get("business")?,
            customer: row.try_get("customer_id")?,
        };
        let (inbound, closed): (Option<i64>, Option<i64>) =
            (row.try_get("last_inbound_at")?, row.try_get("window_closed_at")?);
        let locked = LockedConversation {
            key: key.clone(),
            id: row.try_get("id")?,
            last_sequence: row.try_get("last_sequence")?,
            window: Window { last_inbound_at: inbound.map(timestamp), closed_at: closed.map(timestamp) },
        };
        let sequences = reserved.get(&key).copied().unwrap_or(0);
        conversations.insert(key, (locked, sequences));
    }
    Ok(conversations)
}

/// A customer's conversation with a number, made if need be.
pub(super) async fn conversation_with(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    account: &str,
    business: &str,
    customer: CustomerId,
    now: i64,
) -> Result<ConversationId> {
    // store::conversation_with
    let id = sqlx::query_scalar(
        "INSERT INTO conversations (id, account, business, customer_id, last_event_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         -- A row that is left as it is would not be returned.
         ON CONFLICT (account, business, customer_id) WHERE merged_into IS NULL DO UPDATE SET last_event_at = conversations.last_event_at
         RETURNING id",
    )
    .bind(store.id::<ConversationTag>())
    .bind(account)
    .bind(business)
    .bind(customer)
    .bind(now)
    .fetch_one(connection)
    .await?;
    Ok(id)
}
