//! Products of the business's Meta catalog.

use serde::{Deserialize, Serialize};

use super::text::null_as_default;
use super::{Footer, Header, Text};

/// One product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SingleProductMessage {
    /// Small print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
    /// Meta's id of the catalog.
    pub catalog_id: Text,
    /// The product.
    #[serde(deserialize_with = "null_as_default")]
    pub product_item: ProductItem,
}

/// Several products, in groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MultiProductMessage {
    /// Words above the body; WhatsApp requires them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Small print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
    /// Meta's id of the catalog.
    pub catalog_id: Text,
    /// The products, in groups.
    #[serde(deserialize_with = "null_as_default")]
    pub sections: Vec<ProductSection>,
}

/// A group of products.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProductSection {
    /// Its heading; needed when there is more than one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// The products.
    #[serde(deserialize_with = "null_as_default")]
    pub product_items: Vec<ProductItem>,
}

/// A product, by the id the retailer gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProductItem {
    /// The retailer's id.
    pub product_retailer_id: Text,
}

impl SingleProductMessage {
    /// One product of a catalog.
    pub fn new(catalog_id: impl Into<Text>, product_retailer_id: impl Into<Text>) -> Self {
        let product_item = ProductItem { product_retailer_id: product_retailer_id.into() };
        Self { footer: None, catalog_id: catalog_id.into(), product_item }
    }
}

impl MultiProductMessage {
    /// No products yet, below this header.
    pub fn new(catalog_id: impl Into<Text>, header: impl Into<Text>) -> Self {
        Self { catalog_id: catalog_id.into(), header: Some(Header::text(header)), ..Self::default() }
    }

    /// The same with one more group of products, by their retailer's ids.
    #[must_use]
    pub fn section<I: Into<Text>>(
        mut self,
        title: impl Into<Text>,
        product_retailer_ids: impl IntoIterator<Item = I>,
    ) -> Self {
        let product_items = product_retailer_ids
            .into_iter()
            .map(|id| ProductItem { product_retailer_id: id.into() })
            .collect();
        self.sections.push(ProductSection { title: Some(title.into()), product_items });
        self
    }
}
