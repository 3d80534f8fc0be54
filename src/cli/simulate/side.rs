//! The two sides of an event: a number of the business, and a customer.

use serde_json::{Value, json};

use crate::connectly::phone;

/// A customer's number that belongs to nobody: 555-01xx is kept for fiction.
pub const CUSTOMER: &str = "+15550100001";
/// A business's number of the same kind.
pub const BUSINESS: &str = "+15550100002";
/// What the business is called.
pub const BUSINESS_NAME: &str = "Shop";

/// A number with the channel and a name, as both ends of a delivery are written.
pub fn endpoint(id: &str, name: Option<&str>) -> Value {
    json!({"id": id, "channelType": "whatsapp", "name": name})
}

/// A customer. Who has a BSUID and no number shows the BSUID in its place; who has neither is [`CUSTOMER`].
pub fn customer(number: Option<&str>, user_id: Option<&str>, name: Option<&str>) -> Value {
    let Some(user_id) = user_id else {
        return endpoint(number.unwrap_or(CUSTOMER), name);
    };
    let mut customer = endpoint(number.unwrap_or(user_id), name);
    customer["userId"] = json!(user_id);
    customer["phoneNumber"] = json!(number.unwrap_or_default());
    customer
}

/// Reads a phone number, in any usual spelling.
pub fn number(text: &str) -> Result<String, &'static str> {
    phone::normalize(text).ok_or("expected a phone number, like +15550100001")
}

/// Reads a BSUID: a country, a dot, and letters and digits.
pub fn user_id(text: &str) -> Result<String, &'static str> {
    let is_one = text.split_once('.').is_some_and(|(country, rest)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    is_one.then(|| text.to_owned()).ok_or("expected a business-scoped user id, like US.13491208655302741918")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_known_by_a_number_a_user_id_or_both() {
        assert_eq!(customer(None, None, None)["id"], CUSTOMER);
        let both = customer(Some("+15550100009"), Some("US.1349"), None);
        assert_eq!((&both["id"], &both["phoneNumber"]), (&json!("+15550100009"), &json!("+15550100009")));
        let phoneless = customer(None, Some("US.1349"), None);
        assert_eq!((&phoneless["id"], &phoneless["phoneNumber"]), (&json!("US.1349"), &json!("")));
        assert_eq!(phoneless["userId"], "US.1349");
    }

    #[test]
    fn only_a_country_and_an_id_are_a_user_id() {
        assert!(user_id("US.13491208655302741918").is_ok());
        for wrong in ["", "US", "US.", "us.1", "USA.1", "US.1 2", "+15550100001"] {
            assert!(user_id(wrong).is_err(), "{wrong}");
        }
    }
}
