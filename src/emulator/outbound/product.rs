//! Products of a catalog: one, or several in groups.

use super::field::{counted, optional, present, required, titles};
use super::interactive::{footer, words_header};
use crate::emulator::errors::Refusal;
use crate::emulator::wire::{MultiProductMessage, ProductItem, SingleProductMessage};

/// The most characters in the body.
const BODY: usize = 1_024;
/// The groups, and the products over all groups together.
const SECTIONS: std::ops::RangeInclusive<usize> = 1..=10;
const PRODUCTS: std::ops::RangeInclusive<usize> = 1..=30;
/// The most characters in a group's heading.
const SECTION_TITLE: usize = 24;

/// Checks one product and the text beside it, which may be absent.
pub(super) fn single(message: &SingleProductMessage, body: Option<&str>) -> Result<(), Refusal> {
    optional(body, BODY, "message.text")?;
    footer(message.footer.as_ref(), "message.singleProductMessage.footer.text")?;
    present(message.catalog_id.as_deref(), "message.singleProductMessage.catalogId")?;
    let id = message.product_item.as_ref().and_then(retailer_id);
    present(id, "message.singleProductMessage.productItem.productRetailerId")
}

/// Checks several products, with the text and the header that they must have.
pub(super) fn multi(message: &MultiProductMessage, body: Option<&str>) -> Result<(), Refusal> {
    required(body, BODY, "message.text").map_err(|refusal| match refusal {
        Refusal::Missing(_) => Refusal::TextEmpty,
        other => other,
    })?;
    words_header(message.header.as_ref(), "message.multiProductMessage.header")?;
    footer(message.footer.as_ref(), "message.multiProductMessage.footer.text")?;
    present(message.catalog_id.as_deref(), "message.multiProductMessage.catalogId")?;
    let sections = message.sections.as_deref().unwrap_or_default();
    counted(sections.len(), SECTIONS, "message.multiProductMessage.sections")?;
    let headings: Vec<_> = sections.iter().map(|section| section.title.as_deref()).collect();
    titles(&headings, SECTION_TITLE, "message.multiProductMessage.sections.title")?;
    let items: Vec<_> =
        sections.iter().filter_map(|section| section.product_items.as_deref()).flatten().collect();
    counted(items.len(), PRODUCTS, "message.multiProductMessage.sections.productItems")?;
    for item in items {
        const ID: &str = "message.multiProductMessage.sections.productItems.productRetailerId";
        present(retailer_id(item), ID)?;
    }
    Ok(())
}

fn retailer_id(item: &ProductItem) -> Option<&str> {
    item.product_retailer_id.as_deref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn items(count: usize) -> Value {
        (0..count).map(|item| json!({"productRetailerId": item.to_string()})).collect()
    }

    /// A message with one product and these keys in place of its own.
    fn single_with(changes: &Value) -> Result<(), Refusal> {
        let mut message = json!({"catalogId": "7", "productItem": {"productRetailerId": "8"}});
        message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        single(&serde_json::from_value(message).unwrap(), None)
    }

    /// The same with one group of products.
    fn multi_with(changes: &Value) -> Result<(), Refusal> {
        checked_multi(changes, Some("Our best"))
    }

    fn checked_multi(changes: &Value, body: Option<&str>) -> Result<(), Refusal> {
        let sections = json!([{"title": "Bags", "productItems": items(1)}]);
        let mut message = json!({"header": {"text": "New"}, "catalogId": "7", "sections": sections});
        message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        multi(&serde_json::from_value(message).unwrap(), body)
    }

    fn invalid(name: &'static str) -> Result<(), Refusal> {
        Err(Refusal::Invalid(name))
    }

    fn missing(name: &'static str) -> Result<(), Refusal> {
        Err(Refusal::Missing(name))
    }

    #[test]
    fn one_product_has_a_catalog_and_an_id() {
        assert_eq!(single_with(&json!({"footer": {"text": "x".repeat(60)}})), Ok(()));
        let footer = single_with(&json!({"footer": {"text": "x".repeat(61)}}));
        assert_eq!(footer, invalid("message.singleProductMessage.footer.text"));
        let catalog = single_with(&json!({"catalogId": ""}));
        assert_eq!(catalog, missing("message.singleProductMessage.catalogId"));
        for item in [json!(null), json!({}), json!({"productRetailerId": " "})] {
            let id = "message.singleProductMessage.productItem.productRetailerId";
            assert_eq!(single_with(&json!({"productItem": item})), missing(id));
        }
    }

    #[test]
    fn the_body_of_products_has_a_limit_and_several_need_one() {
        let message =
            || serde_json::from_value(json!({"catalogId": "7", "productItem": {"productRetailerId": "8"}}));
        let body = |length: usize| single(&message().unwrap(), Some(&"x".repeat(length)));
        assert_eq!((body(1_024), body(1_025)), (Ok(()), invalid("message.text")));
        let body = |length: usize| checked_multi(&json!({}), Some(&"x".repeat(length)));
        assert_eq!((body(1_024), body(1_025)), (Ok(()), invalid("message.text")));
        assert_eq!(checked_multi(&json!({}), None), Err(Refusal::TextEmpty));
        assert_eq!(checked_multi(&json!({}), Some(" ")), Err(Refusal::TextEmpty));
    }

    #[test]
    fn the_parts_of_several_products_are_required() {
        assert_eq!(multi_with(&json!({})), Ok(()));
        let header = "message.multiProductMessage.header";
        assert_eq!(multi_with(&json!({"header": null})), missing(header));
        assert_eq!(multi_with(&json!({"header": {"text": "x".repeat(61)}})), invalid(header));
        let image = json!({"attachment": {"type": "image", "url": "https://example.com/a.jpg"}});
        assert_eq!(multi_with(&json!({"header": image})), invalid(header));
        assert_eq!(multi_with(&json!({"catalogId": null})), missing("message.multiProductMessage.catalogId"));
        let nameless = json!([{"productItems": [{}]}]);
        let id = "message.multiProductMessage.sections.productItems.productRetailerId";
        assert_eq!(multi_with(&json!({"sections": nameless})), missing(id));
    }

    #[test]
    fn groups_and_products_are_counted() {
        let sections = |count: usize, items_each: usize| {
            let section = json!({"title": "x".repeat(24), "productItems": items(items_each)});
            multi_with(&json!({"sections": vec![section; count]}))
        };
        let groups = invalid("message.multiProductMessage.sections");
        let products = invalid("message.multiProductMessage.sections.productItems");
        assert_eq!([sections(0, 1), sections(10, 3), sections(11, 1)], [groups, Ok(()), groups]);
        assert_eq!([sections(1, 0), sections(1, 30), sections(1, 31)], [products, Ok(()), products]);
        assert_eq!(sections(10, 4), products, "all groups together");
        let title = "message.multiProductMessage.sections.title";
        let long = json!([{"title": "x".repeat(25), "productItems": items(1)}]);
        assert_eq!(multi_with(&json!({"sections": long})), invalid(title));
        let untitled = json!([{"title": "A", "productItems": items(1)}, {"productItems": items(1)}]);
        assert_eq!(multi_with(&json!({"sections": untitled})), missing(title));
    }
}
