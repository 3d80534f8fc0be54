//! Customers: by any of their identities, and their word on being written to.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
use crate::model::id::CustomerId;

/// The columns of a customer.
const COLUMNS: &str = "id, account, phone, user_id, name, opted_out_at, opted_out_by, created_at";

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

/// Opts a customer out, since the first time that anybody said so, or in.
pub fn opt<Db: Dialect>(id: CustomerId, by: Option<&str>, now: i64) -> QueryBuilder<Db>
where
    i64: Parameter<Db>,
    String: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let mut query = QueryBuilder::new("/* store::opt */ UPDATE customers SET opted_out_at = ");
    if let Some(by) = by {
        query
            .push("coalesce(opted_out_at, ")
            .push_bind(now)
            .push("), opted_out_by = CASE WHEN opted_out_at IS NULL THEN ");
        query.push_bind(by.to_owned()).push(" ELSE opted_out_by END");
    } else {
        query.push("NULL, opted_out_by = NULL");
    }
    query.push(" WHERE id = ").push_bind(id).push(" RETURNING ").push(COLUMNS);
    query
}
