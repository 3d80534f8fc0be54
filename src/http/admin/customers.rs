//! Customers: who one is, whether they want to be written to, and that nothing is left of them.
//!
//! One is named by our id, a phone number or a user id. A number may be known to several accounts, each of which has a
//! customer of its own: then `account` says which is meant.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::parameters;
use super::document::refusals::{BadQuery, NotFound, Unavailable};
use super::path::PathParty;
use super::query::Query;
use crate::connectly::text::without_nul;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::conversation::{Conversation, ConversationView};
use crate::model::customer::CustomerProfile;
use crate::model::id::CustomerId;
use crate::model::retention::Erased;
use crate::store::query::{ConversationFilter, PageRequest};
use crate::store::{self, Store};

/// A customer has one conversation with each number of the business.
const MOST_CONVERSATIONS: u32 = 200;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(one, erase)).routes(routes!(opt_out)).routes(routes!(opt_in))
}

/// A customer with the conversations they have.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerDetails)]
struct Detailed {
    #[serde(flatten)]
    customer: CustomerProfile,
    /// The newest first, 200 at most.
    conversations: Vec<ConversationView>,
}

/// The customer that a request is about.
pub(super) struct Named(pub(super) CustomerProfile);

impl IntoParams for Named {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = "The customer: our id, a phone number in any spelling, or a user id.";
        let account = "Which account's customer is meant; needed where several accounts know the number.";
        vec![parameters::name_in_path("id", id), parameters::text("account", account)]
    }
}

impl FromRequestParts<AdminState> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        let mut query = Query::read(&parts.uri)?;
        let account = query.text("account")?;
        query.finish()?;
        Self::find(parts, state, account).await
    }
}

impl Named {
    async fn find(parts: &mut Parts, state: &AdminState, account: Option<String>) -> Result<Self, Problem> {
        let PathParty(name) = PathParty::from_request_parts(parts, state).await?;
        let mut found = state.store.customers(&name).await?;
        found.retain(|customer| account.as_ref().is_none_or(|account| customer.account == *account));
        let Some(customer) = found.pop() else { return Err(Problem::not_found()) };
        if !found.is_empty() {
            return Err(Problem::parameter(
                "account",
                "the name of one of the accounts that know this customer",
            ));
        }
        Ok(Self(customer))
    }
}

/// A customer who wants no messages, and who says so.
struct OptingOut(CustomerProfile, String);

/// Who says so when the request does not.
const BY_API: &str = "api";
/// The longest name of who says so, in characters.
const LONGEST_BY: usize = 100;
/// What `by` takes.
const BY_TAKES: &str = "who says so, in 1 to 100 characters";

impl IntoParams for OptingOut {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let by = "Who says so, for whoever asks later; at most 100 characters, `api` when left out.";
        let mut parameters = Named::into_params(place);
        parameters.push(parameters::text("by", by));
        parameters
    }
}

impl FromRequestParts<AdminState> for OptingOut {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        let mut query = Query::read(&parts.uri)?;
        let account = query.text("account")?;
        let trimmed = |by: &str| Some(by.trim().to_owned()).filter(|by| !by.is_empty());
        let by = query.parsed("by", BY_TAKES, trimmed)?.unwrap_or_else(|| BY_API.to_owned());
        let found = by.chars().count();
        if found > LONGEST_BY {
            return Err(Problem::parameter("by", &format!("{BY_TAKES}, and this has {found}")));
        }
        let by = without_nul(&by);
        query.finish()?;
        let Named(customer) = Named::find(parts, state, account).await?;
        Ok(Self(customer, by))
    }
}

/// One customer with their conversations.
#[utoipa::path(
    get,
    path = "/api/v1/customers/{id}",
    operation_id = "get_customer",
    tag = "customers",
    params(Named),
    responses((status = 200, description = "The customer.", body = Detailed), BadQuery, NotFound, Unavailable),
)]
async fn one(State(state): State<AdminState>, Named(customer): Named) -> Result<Response, Problem> {
    let theirs =
        ConversationFilter { customer: Some(customer.id.to_string()), ..ConversationFilter::default() };
    let page = PageRequest { limit: MOST_CONVERSATIONS, before: None };
    let conversations = state.store.conversations(&theirs, page).await?;
    let now = state.clock.now();
    let shown = |conversation: Conversation| conversation.view(now, state.window_margin);
    let conversations = conversations.data.into_iter().map(shown).collect();
    Ok(json::answer(&Detailed { customer, conversations }))
}

/// Notes that a customer wants no messages.
///
/// Nothing is sent to them until they opt in; who opted out already stays so.
#[utoipa::path(
    post,
    path = "/api/v1/customers/{id}/opt-out",
    operation_id = "opt_out_customer",
    tag = "customers",
    params(OptingOut),
    responses((status = 200, description = "The customer as they are now.", body = CustomerProfile), BadQuery, NotFound, Unavailable),
)]
async fn opt_out(
    State(state): State<AdminState>,
    OptingOut(customer, by): OptingOut,
) -> Result<Response, Problem> {
    opt(&state, &customer, Some(&by)).await
}

/// Notes that a customer wants messages again.
#[utoipa::path(
    post,
    path = "/api/v1/customers/{id}/opt-in",
    operation_id = "opt_in_customer",
    tag = "customers",
    params(Named),
    responses((status = 200, description = "The customer as they are now.", body = CustomerProfile), BadQuery, NotFound, Unavailable),
)]
async fn opt_in(State(state): State<AdminState>, Named(customer): Named) -> Result<Response, Problem> {
    opt(&state, &customer, None).await
}

/// The customer as they are afterwards.
async fn opt(state: &AdminState, customer: &CustomerProfile, by: Option<&str>) -> Result<Response, Problem> {
    let customer = state.store.opt(customer.id, by).await?.ok_or_else(Problem::not_found)?;
    Ok(json::answer(&customer))
}

/// Erases a customer: who they are, and everything that was said.
///
/// It cannot be undone. It goes on when the caller hangs up; after an error some may be gone, and another request takes the
/// rest.
#[utoipa::path(
    delete,
    path = "/api/v1/customers/{id}",
    operation_id = "erase_customer",
    tag = "customers",
    params(Named),
    responses((status = 200, description = "How much of the customer there was.", body = Erased), BadQuery, NotFound, Unavailable),
)]
async fn erase(State(state): State<AdminState>, Named(customer): Named) -> Result<Response, Problem> {
    let running = tokio::spawn(async move { erase_whole(state.store.as_ref(), customer.id).await });
    let erased = running.await.map_err(|_panicked| Problem::internal())??;
    Ok(json::answer(&erased.ok_or_else(Problem::not_found)?))
}

async fn erase_whole(store: &dyn Store, id: CustomerId) -> store::Result<Option<Erased>> {
    let erased = store.erase(id).await?;
    if let Some(Erased { events, messages, .. }) = erased {
        tracing::info!(customer.id = %id, events, messages, "a customer was erased");
    }
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use crate::http::testing::{
        admin, assert_refused, call, conversation, conversation_id, customer, customer_id, get, read_json,
        request,
    };

    #[tokio::test]
    async fn a_customer_is_found_by_id_or_phone_and_shows_their_conversations() {
        let admin = admin(|store| {
            store.customers = vec![customer(1, "default")];
            store.conversations = vec![conversation(1)];
        });
        for name in [customer_id(1).to_string(), "+15550100001".to_owned(), "15550100001".to_owned()] {
            let shown = read_json(call(&admin.router, get(&format!("/api/v1/customers/{name}"))).await).await;
            assert_eq!(shown["id"], customer_id(1).to_string(), "{name}");
            assert_eq!(shown["conversations"][0]["id"], conversation_id(1).to_string());
            assert!(shown["user_id"].is_null());
        }
        let filter = admin.store.conversation_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.customer, Some(customer_id(1).to_string()));
    }

    #[tokio::test]
    async fn a_customer_of_several_accounts_is_named_with_one() {
        let admin = admin(|store| store.customers = vec![customer(1, "north"), customer(2, "south")]);
        let path = "/api/v1/customers/+15550100001";
        let refused = assert_refused(call(&admin.router, get(path)).await, 400).await;
        assert_eq!(refused["parameter"], "account");
        let shown = read_json(call(&admin.router, get(&format!("{path}?account=south"))).await).await;
        assert_eq!(shown["id"], customer_id(2).to_string());
        assert_refused(call(&admin.router, get(&format!("{path}?account=east"))).await, 404).await;
        let unknown = call(&admin.router, get(&format!("{path}?phone=1"))).await;
        assert_eq!(assert_refused(unknown, 400).await["parameter"], "phone");
    }

    #[tokio::test]
    async fn a_customer_can_be_opted_out_and_in() {
        let admin = admin(|store| store.customers = vec![customer(1, "default")]);
        for (action, by) in [("opt-out", Some("api")), ("opt-out?by=Ana", Some("Ana")), ("opt-in", None)] {
            let path = format!("/api/v1/customers/+15550100001/{action}");
            let shown = read_json(call(&admin.router, request(Method::POST, &path)).await).await;
            assert_eq!(
                (shown["opted_out_at"].is_string(), shown["opted_out_by"].as_str()),
                (by.is_some(), by)
            );
            assert_refused(call(&admin.router, get(&path)).await, 405).await;
        }
        // The second is longer than what any column takes.
        for length in [101, 600] {
            let long = format!("/api/v1/customers/+15550100001/opt-out?by={}", "x".repeat(length));
            let refused = assert_refused(call(&admin.router, request(Method::POST, &long)).await, 400).await;
            assert_eq!(refused["parameter"], "by");
            assert!(refused["detail"].as_str().unwrap().ends_with(&format!("this has {length}")));
        }
        let unknown = request(Method::POST, "/api/v1/customers/+15550100009/opt-out");
        assert_refused(call(&admin.router, unknown).await, 404).await;
    }

    #[tokio::test]
    async fn an_erased_customer_is_counted_and_an_unknown_one_is_not_found() {
        let admin = admin(|store| store.customers = vec![customer(1, "default")]);
        let path = format!("/api/v1/customers/{}", customer_id(1));
        let erased = read_json(call(&admin.router, request(Method::DELETE, &path)).await).await;
        assert_eq!(
            (&erased["events"], &erased["identities"], &erased["jobs"]),
            (&3.into(), &1.into(), &0.into())
        );
        let unknown = request(Method::DELETE, "/api/v1/customers/+15550100009");
        assert_refused(call(&admin.router, unknown).await, 404).await;
    }
}
