//! The two sides of an event: a number of the business and a customer.

use super::Kind;
use super::json::Object;
use crate::connectly::phone;
use crate::connectly::text::bounded;

/// Our side.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Business {
    /// The number in normal form, or the id as it came when it is no number.
    pub id: String,
    /// The name Connectly shows, when it gives one.
    pub name: Option<String>,
}

impl std::fmt::Debug for Business {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Business(..)")
    }
}

/// The customer's side. At least one of phone and user id is there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Party {
    /// The phone number in normal form. Customers with a user name may have none.
    pub phone: Option<String>,
    /// The business-scoped user id (BSUID), never re-cased.
    pub user_id: Option<String>,
    /// The name the customer shows.
    pub name: Option<String>,
}

impl std::fmt::Debug for Party {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Party(..)")
    }
}

/// Who is who: a customer sends what is received, the business sends the rest.
pub(super) fn sides(envelope: &Object<'_>, kind: &Kind) -> (Option<Business>, Option<Party>) {
    let (sender, recipient) = (envelope.object(&["sender"]), envelope.object(&["recipient"]));
    let (business, customer) = match kind {
        Kind::Received(_) => (recipient, sender),
        Kind::Echo(_) | Kind::Status(_) => (sender, recipient),
        Kind::Report(_) | Kind::Unknown => (None, None),
    };
    (business.as_ref().and_then(read_business), customer.as_ref().and_then(read_customer))
}

fn read_business(endpoint: &Object<'_>) -> Option<Business> {
    let id = endpoint.filled(&["id", "phoneNumber", "phone_number"])?;
    let id = phone::normalize(&id).unwrap_or_else(|| bounded(id.trim()));
    Some(Business { id, name: name(endpoint) })
}

/// `userId` and `phoneNumber` are there for numbers with BSUID enabled only; `id` holds either then.
fn read_customer(endpoint: &Object<'_>) -> Option<Party> {
    let id = endpoint.filled(&["id"]);
    let given_phone = endpoint.filled(&["phoneNumber", "phone_number"]);
    let phone = [&given_phone, &id].into_iter().find_map(|text| phone::normalize(text.as_deref()?));
    let user_id =
        endpoint.filled(&["userId", "user_id"]).or_else(|| id.filter(|id| phone::normalize(id).is_none()));
    let user_id = user_id.map(|id| bounded(id.trim()));
    (phone.is_some() || user_id.is_some()).then(|| Party { phone, user_id, name: name(endpoint) })
}

fn name(endpoint: &Object<'_>) -> Option<String> {
    endpoint.filled(&["name"]).map(|name| bounded(&name))
}
