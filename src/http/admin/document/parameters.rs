//! Parameters of queries and paths, described the way `query` checks them.

use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{KnownFormat, Object, ObjectBuilder, RefOr, Required, Schema, SchemaFormat, Type};

use super::super::query::LONGEST_VALUE;

/// A text that is not empty.
pub(in crate::http::admin) fn text(name: &str, description: &str) -> Parameter {
    optional(name, description, string().pattern(Some("\\S")).build())
}

/// A phone number in any spelling, or another id.
pub(in crate::http::admin) fn party(name: &str, description: &str) -> Parameter {
    text(name, &format!("{description} A number is found in any spelling of it."))
}

/// A time.
pub(in crate::http::admin) fn time(name: &str, description: &str) -> Parameter {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    optional(name, description, string().format(Some(format)).build())
}

/// One of a few names.
pub(in crate::http::admin) fn one_of(name: &str, names: &[&str], description: &str) -> Parameter {
    optional(name, description, string().enum_values(Some(names.iter().copied())).build())
}

/// Some of a few names, separated by commas.
pub(in crate::http::admin) fn some_of(name: &str, names: &[&str], description: &str) -> Parameter {
    let one = names.join("|");
    let pattern = format!("^({one})(,({one}))*$");
    optional(name, description, string().pattern(Some(pattern)).build())
}

/// Connectly's message id.
pub(in crate::http::admin) fn provider_message_id(description: &str) -> Parameter {
    text("provider_message_id", &format!("{description} Either spelling of it is found, ULID or UUID."))
}

/// Values in callback data. OpenAPI has no words for parameters whose name is partly the caller's.
pub(in crate::http::admin) fn callback_data() -> Parameter {
    let description = "The callback data, where it is a plain value and not an object: `callback_data=order-7`. Where it \
        is an object, ask for any number of its values by their path, each as a parameter of its own: \
        `callback_data.order_id=12345`, `callback_data.order.id=7`. A path has at most 256 bytes, a value 1,024.";
    optional("callback_data", description, string().max_length(Some(LONGEST_VALUE)).build())
}

/// The rows of a page.
pub(in crate::http::admin) fn limit(default: u32, most: u32) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(most));
    optional("limit", "The most rows of the page.", schema.default(Some(json!(default))).build())
}

/// A number from 1 on.
pub(in crate::http::admin) fn count(name: &str, most: u32, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(most));
    optional(name, description, schema.build())
}

/// A name in a path.
pub(in crate::http::admin) fn header(name: &str, description: &str, longest: usize) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(longest));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema.pattern(Some("^[!-~]+$"))))
        .build()
}

/// A part of the path that is a name.
pub(in crate::http::admin) fn name_in_path(name: &str, description: &str) -> Parameter {
    let parameter =
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(Some(description)).schema(Some(string().min_length(Some(1)))).build()
}

/// The description and schema of parameters as fields of a body.
pub(in crate::http::admin) fn as_fields(object: ObjectBuilder, parameters: Vec<Parameter>) -> ObjectBuilder {
    parameters.into_iter().fold(object, |object, parameter| match parameter.schema {
        Some(RefOr::T(Schema::Object(schema))) => {
            object.property(parameter.name, as_field(schema, parameter.description))
        }
        Some(_) | None => object,
    })
}

/// What stands for a text in a body.
pub(in crate::http::admin) fn plain() -> SchemaType {
    SchemaType::from_iter([Type::String, Type::Number, Type::Boolean])
}

/// A free text may come as a number or a truth value: error codes look like numbers to many programs.
fn as_field(schema: Object, description: Option<String>) -> Object {
    let is_free = schema.enum_values.is_none() && schema.format.is_none();
    let kind = if is_free { plain() } else { schema.schema_type.clone() };
    ObjectBuilder::from(schema).schema_type(kind).description(description).build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn optional(name: &str, description: &str, schema: Object) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
    parameter.required(Required::False).description(Some(description)).schema(Some(schema)).build()
}
