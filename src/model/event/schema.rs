//! The schema of an event, which is written by hand like its JSON.

use utoipa::openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{BusinessNumber, Customer, Event, EventType};
use crate::connectly::error::ShownError;
use crate::connectly::event::content::Content;
use crate::connectly::event::report::Report;
use crate::connectly::event::status::Status;
use crate::model::id::EventId;
use crate::model::json::JsonText;

/// What it is called among the schemas.
type Named = (String, RefOr<Schema>);

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        let id = || Ref::from_schema_name(EventId::name());
        let text = |description: &str| {
            ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build()
        };
        let flag = |description: &str| {
            ObjectBuilder::new().schema_type(Type::Boolean).description(Some(description)).build()
        };
        ObjectBuilder::new()
            .description(Some(
                "A stored delivery. What is not known, or is nothing that this type of event has, is absent.",
            ))
            .property("id", id())
            .property("type", one_of(&EventType::ALL.map(EventType::as_str)))
            .property("account", text("The account it was delivered to."))
            .property("occurred_at", time("The event's own time, when it had one."))
            .property("received_at", time("When the request arrived."))
            .property("conversation_id", id())
            .property("business", Ref::from_schema_name(BusinessNumber::name()))
            .property("customer", Ref::from_schema_name(Customer::name()))
            .property(
                "provider_message_id",
                text("Connectly's id: of the message sent for a status, else of what arrived."),
            )
            .property("in_reply_to", text("Connectly's id of the message that this one answers."))
            .property("status", one_of(&Status::ALL.map(Status::as_str)))
            .property("message_id", id())
            .property("callback_data", JsonText::schema())
            .property("campaign", text("The campaign's name."))
            .property("content", Ref::from_schema_name(Content::name()))
            .property("error", Ref::from_schema_name(ShownError::name()))
            .property("report", Ref::from_schema_name(Report::name()))
            .property("duplicates", i64::schema())
            .property(
                "body_purged",
                flag("True when retention has dropped the body, and the content with it; else absent."),
            )
            .required("id")
            .required("type")
            .required("account")
            .required("received_at")
            .required("duplicates")
            .into()
    }
}

impl ToSchema for Event {
    fn schemas(schemas: &mut Vec<Named>) {
        schemas.push((EventId::name().into(), EventId::schema()));
        schemas.push((BusinessNumber::name().into(), BusinessNumber::schema()));
        schemas.push((Customer::name().into(), Customer::schema()));
        schemas.push((Content::name().into(), Content::schema()));
        schemas.push((ShownError::name().into(), ShownError::schema()));
        schemas.push((Report::name().into(), Report::schema()));
        BusinessNumber::schemas(schemas);
        Customer::schemas(schemas);
        Content::schemas(schemas);
        ShownError::schemas(schemas);
        Report::schemas(schemas);
    }
}

fn time(description: &str) -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).description(Some(description)).into()
}

fn one_of(names: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names.iter().copied())).into()
}
