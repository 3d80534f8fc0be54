//! A customer as they are known, apart from any one event.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::id::CustomerId;

/// Who opted a customer out when Connectly refused a message for that reason.
pub const BY_CONNECTLY: &str = "connectly";

/// Who opted a customer out when a handler did.
pub fn by_route(route: &str) -> String {
    format!("route:{route}")
}

/// Who somebody is to one account.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerProfile {
    /// Our id.
    pub id: CustomerId,
    /// The account.
    pub account: String,
    /// The phone number in force, null when not known.
    #[schema(required)]
    pub phone: Option<String>,
    /// The business-scoped user id in force, null when not known.
    #[schema(required)]
    pub user_id: Option<String>,
    /// The newest name, when the customer showed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Since when they want no messages; absent while they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opted_out_at: Option<Timestamp>,
    /// Who said so: `connectly`, `route:` and the route's name, or whoever asked for it through the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opted_out_by: Option<String>,
    /// When they were first seen.
    pub created_at: Timestamp,
}

impl fmt::Debug for CustomerProfile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CustomerProfile({})", self.id)
    }
}
