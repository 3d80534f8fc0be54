use std::collections::BTreeSet;

use axum::http::Method;

use super::*;
use crate::http::testing::{admin, assert_refused, call, read_json, request};
use crate::store::StoreError;

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

/// One operation: its method, its path with an id and a route in it, and its description.
fn operations() -> Vec<(Method, String, Value)> {
    let document = document();
    let of_path = |(path, methods): (&String, &Value)| {
        let path = path.replace("{id}", ID).replace("{route}", "greeter");
        let operation = |(method, operation): (&String, &Value)| {
            let method = method.to_uppercase().parse().unwrap();
            (method, path.clone(), operation.clone())
        };
        members(methods).map(operation).collect::<Vec<_>>()
    };
    members(&document["paths"]).flat_map(of_path).collect()
}

/// The names of parameters in one place.
fn parameters_in(place: &str, operation: &Value) -> BTreeSet<String> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let here = all.filter(|parameter| parameter["in"] == place);
    here.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_copy_is_what_is_served() {
    let copy: Option<Value> = std::fs::read(COPY).ok().and_then(|copy| serde_json::from_slice(&copy).ok());
    assert!(
        copy == Some(document()),
        "docs/openapi.json is not what is served. If the change is meant: cargo test --lib write_the_copy -- --ignored"
    );
}

#[test]
#[ignore = "it changes the repository: docs/openapi.json becomes what is served"]
fn write_the_copy() {
    std::fs::write(COPY, format!("{:#}\n", document())).unwrap();
}

#[tokio::test]
async fn it_is_served_without_a_token() {
    let admin = admin(|_| {});
    let mut request = request(Method::GET, "/openapi.json");
    request.headers_mut().remove("authorization");
    assert_eq!(read_json(call(&admin.router, request).await).await, document());
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let used: BTreeSet<String> = references(&document).into_iter().collect();
    for reference in &used {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for (name, _) in members(&document["components"][kind]) {
            assert!(used.contains(&format!("#/components/{kind}/{name}")), "{name}");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert!(names.insert(name), "{method} {path}");
    }
}

#[tokio::test]
async fn every_parameter_is_one_that_is_asked_for() {
    let admin = admin(|_| {});
    for (method, path, operation) in operations() {
        if !operation["responses"]["400"].is_object() {
            assert!(parameters_in("query", &operation).is_empty(), "{method} {path}");
            continue;
        }
        let response = call(&admin.router, request(method.clone(), &format!("{path}?colour=red"))).await;
        let detail = assert_refused(response, 400).await["detail"].as_str().unwrap().to_owned();
        let asked = detail.strip_prefix("this path takes ").unwrap();
        let asked = asked.split(", ").filter(|name| *name != "no parameters");
        let asked: BTreeSet<String> = asked.map(|name| name.replace(".<path>", "")).collect();
        assert_eq!(parameters_in("query", &operation), asked, "{method} {path}");
    }
}

#[tokio::test]
async fn every_operation_says_whether_it_needs_the_token() {
    let admin = admin(|_| {});
    for (method, path, operation) in operations() {
        let mut request = request(method.clone(), &path);
        request.headers_mut().remove("authorization");
        let refused = call(&admin.router, request).await.status() == 401;
        assert_eq!(operation["security"] != json!([]), refused, "{method} {path}");
        assert_eq!(operation["responses"]["401"].is_object(), refused, "{method} {path}");
    }
}

#[tokio::test]
async fn every_answer_is_one_that_is_described() {
    let away: fn() -> StoreError = || StoreError::Unavailable(String::new());
    for fails in [None, Some(away)] {
        let admin = admin(|store| store.fails = fails);
        for (method, path, operation) in operations() {
            for path in [path.clone(), format!("{path}?limit=0")] {
                let status = call(&admin.router, request(method.clone(), &path)).await.status();
                let described = &operation["responses"][status.as_str()];
                assert!(described.is_object(), "{method} {path}: {status}");
            }
        }
    }
}
