//! Customers: by any of their identities, and their word on being written to.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
use crate::model::id::CustomerId;

/// The columns of a customer.
const COLUMNS: &str = "id, account, phone, user_id, name, opted_out_at, created_at";

/// Every customer that a text names, by phone, by user id or by our id: one in each account.
pub fn named<Db: Dialect>(name: &str) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let mut query = QueryBuilder::new("/* store::customers */ SELECT ");
    query.push(COLUMNS).push(" FROM customers WHERE id IN (");
    narrow::customers(&mut query, name);
    query.push(") ORDER BY account");
    query
}

/// Opts a customer out, since the first time they said so, or in.
pub fn opt<Db: Dialect>(id: CustomerId, out: bool, now: i64) -> QueryBuilder<Db>
where
    i64: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let mut query = QueryBuilder::new("/* store::opt */ UPDATE customers SET opted_out_at = ");
    if out {
        query.push("coalesce(opted_out_at, ").push_bind(now).push(")");
    } else {
        query.push("NULL");
    }
    query.push(" WHERE id = ").push_bind(id).push(" RETURNING ").push(COLUMNS);
    query
}
