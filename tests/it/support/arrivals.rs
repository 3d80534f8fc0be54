//! Deliveries as Connectly makes them.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::model::id::EventId;
use switchboard::store::arrival::{Arrival, RouteMatch};

/// The business number that customers write to unless a test says otherwise.
pub const SHOP: &str = "+15550100002";
/// Another number of the same business.
pub const BRANCH: &str = "+15550100003";
/// The account of all deliveries unless a test says otherwise.
pub const ACCOUNT: &str = "default";

/// A customer as an event shows them.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// The phone number.
    pub phone: Option<&'static str>,
    /// The business-scoped user id.
    pub user_id: Option<&'static str>,
}

/// The customer of all deliveries unless a test says otherwise.
pub const ANA: Person = phone("+15550100001");
/// Another customer.
pub const BEN: Person = phone("+15550100009");

/// Somebody known by a number only.
pub const fn phone(number: &'static str) -> Person {
    Person { phone: Some(number), user_id: None }
}

/// Somebody known by a user id only.
pub const fn user(id: &'static str) -> Person {
    Person { phone: None, user_id: Some(id) }
}

/// Somebody who shows both.
pub const fn both(number: &'static str, id: &'static str) -> Person {
    Person { phone: Some(number), user_id: Some(id) }
}

impl Person {
    fn endpoint(self) -> Value {
        let mut endpoint =
            json!({ "id": self.phone.or(self.user_id), "channelType": "whatsapp", "name": "Ana" });
        if let Some(user_id) = self.user_id {
            endpoint["userId"] = user_id.into();
            endpoint["phoneNumber"] = self.phone.unwrap_or_default().into();
        }
        endpoint
    }
}

/// A delivery that is being written.
#[derive(Debug, Clone)]
pub struct Post {
    id: EventId,
    account: String,
    received_at: Timestamp,
    customer_side: &'static str,
    business_side: &'static str,
    json: Value,
    routes: Vec<RouteMatch>,
}

/// Ana writes to the shop, now.
pub fn inbound(clock: &Clock) -> Post {
    let message =
        json!({ "id": clock.ulid().to_string(), "text": "hi", "attachments": [], "location": null });
    Post::new(clock, "sender", "recipient", json!({ "message": message }))
}

/// A status of a message that the shop sent to Ana.
pub fn status(clock: &Clock, provider_message_id: &str, status: &str) -> Post {
    let update = json!({ "id": provider_message_id, "status": status, "error": null });
    Post::new(clock, "recipient", "sender", json!({ "topic": "delivery_status", "statusUpdate": update }))
}

/// A message of the shop to Ana, seen by a registration with `echo`.
pub fn echo(clock: &Clock, provider_message_id: &str, text: &str) -> Post {
    let message = json!({ "id": provider_message_id, "text": text, "isEcho": true });
    Post::new(clock, "recipient", "sender", json!({ "message": message }))
}

/// A body of these bytes, whatever they are.
pub fn raw(clock: &Clock, body: impl Into<Bytes>) -> Arrival {
    Arrival::read(EventId::new(clock.ulid()), ACCOUNT.into(), clock.now(), body.into())
}

impl Post {
    fn new(clock: &Clock, customer_side: &'static str, business_side: &'static str, json: Value) -> Self {
        let post = Self {
            id: EventId::new(clock.ulid()),
            account: ACCOUNT.into(),
            received_at: clock.now(),
            customer_side,
            business_side,
            json,
            routes: Vec::new(),
        };
        post.customer(ANA).number(SHOP).at(clock.now())
    }

    /// Who the customer is.
    #[must_use]
    pub fn customer(mut self, person: Person) -> Self {
        self.json[self.customer_side] = person.endpoint();
        self
    }

    /// What the customer is called.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.json[self.customer_side]["name"] = name.into();
        self
    }

    /// Which number of the business it is.
    #[must_use]
    pub fn number(mut self, number: &str) -> Self {
        self.json[self.business_side] = json!({ "id": number, "channelType": "whatsapp", "name": "Shop" });
        self
    }

    /// When it happened, in whole seconds.
    #[must_use]
    pub fn at(self, at: Timestamp) -> Self {
        self.with("timestamp", at.as_second().to_string())
    }

    /// Without a time of its own.
    #[must_use]
    pub fn undated(mut self) -> Self {
        self.json.as_object_mut().unwrap().remove("timestamp");
        self
    }

    /// What was written.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.json["message"]["text"] = text.into();
        self
    }

    /// Connectly's id of what was written; null for none.
    #[must_use]
    pub fn message_id(mut self, id: impl Into<Value>) -> Self {
        self.json["message"]["id"] = id.into();
        self
    }

    /// Why a message failed.
    #[must_use]
    pub fn error(mut self, code: &str) -> Self {
        self.json["statusUpdate"]["error"] = json!({ "code": code, "message": "no" });
        self
    }

    /// Any key of the envelope.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.json[key] = value.into();
        self
    }

    /// The account it is delivered to.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        account.clone_into(&mut self.account);
        self
    }

    /// Delivered once more: the same body as another request.
    #[must_use]
    pub fn again(&self, clock: &Clock) -> Self {
        Self { id: EventId::new(clock.ulid()), received_at: clock.now(), ..self.clone() }
    }

    /// A route it matches.
    #[must_use]
    pub fn on(self, route: &str) -> Self {
        self.matched(route, true, None)
    }

    /// A route without lanes that it matches.
    #[must_use]
    pub fn on_unordered(self, route: &str) -> Self {
        self.matched(route, false, None)
    }

    /// A route whose condition failed on it.
    #[must_use]
    pub fn failing(self, route: &str, reason: &str) -> Self {
        self.matched(route, true, Some(reason.to_owned()))
    }

    fn matched(mut self, route: &str, ordered: bool, failed: Option<String>) -> Self {
        self.routes.push(RouteMatch { route: route.to_owned(), ordered, failed });
        self
    }

    /// The bytes.
    pub fn body(&self) -> Bytes {
        self.json.to_string().into()
    }
}

impl From<Post> for Arrival {
    fn from(post: Post) -> Self {
        let body = post.body();
        Self { routes: post.routes, ..Self::read(post.id, post.account, post.received_at, body) }
    }
}
