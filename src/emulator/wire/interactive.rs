//! The interactive kinds of content. Both spellings of protobuf's JSON are read; what must be there is checked afterwards.

use serde::Deserialize;

use super::Attachment;

/// A menu.
#[derive(Deserialize)]
pub(in crate::emulator) struct ListMessage {
    pub(in crate::emulator) header: Option<Header>,
    pub(in crate::emulator) footer: Option<Words>,
    /// What opens the menu.
    pub(in crate::emulator) button: Option<Words>,
    pub(in crate::emulator) sections: Option<Vec<Section>>,
}

/// Quick-reply buttons.
#[derive(Deserialize)]
pub(in crate::emulator) struct ReplyButtonMessage {
    pub(in crate::emulator) header: Option<Header>,
    pub(in crate::emulator) footer: Option<Words>,
    pub(in crate::emulator) buttons: Option<Vec<ReplyButton>>,
}

/// One product of a catalog.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct SingleProductMessage {
    pub(in crate::emulator) footer: Option<Words>,
    #[serde(alias = "catalog_id")]
    pub(in crate::emulator) catalog_id: Option<String>,
    #[serde(alias = "product_item")]
    pub(in crate::emulator) product_item: Option<ProductItem>,
}

/// Products of a catalog, in groups.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct MultiProductMessage {
    pub(in crate::emulator) header: Option<Header>,
    pub(in crate::emulator) footer: Option<Words>,
    #[serde(alias = "catalog_id")]
    pub(in crate::emulator) catalog_id: Option<String>,
    pub(in crate::emulator) sections: Option<Vec<ProductSection>>,
}

/// What stands above the body: words or a file.
#[derive(Deserialize)]
pub(in crate::emulator) struct Header {
    pub(in crate::emulator) text: Option<String>,
    pub(in crate::emulator) attachment: Option<Attachment>,
}

/// Words in an object of their own.
#[derive(Deserialize)]
pub(in crate::emulator) struct Words {
    pub(in crate::emulator) text: Option<String>,
}

/// A group of rows.
#[derive(Deserialize)]
pub(in crate::emulator) struct Section {
    pub(in crate::emulator) title: Option<String>,
    pub(in crate::emulator) rows: Option<Vec<Row>>,
}

/// One choice of a menu.
#[derive(Deserialize)]
pub(in crate::emulator) struct Row {
    pub(in crate::emulator) id: Option<String>,
    pub(in crate::emulator) text: Option<String>,
    pub(in crate::emulator) description: Option<String>,
}

/// One button.
#[derive(Deserialize)]
pub(in crate::emulator) struct ReplyButton {
    pub(in crate::emulator) id: Option<String>,
    pub(in crate::emulator) text: Option<String>,
}

/// A group of products.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct ProductSection {
    pub(in crate::emulator) title: Option<String>,
    #[serde(alias = "product_items")]
    pub(in crate::emulator) product_items: Option<Vec<ProductItem>>,
}

/// One product.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct ProductItem {
    #[serde(alias = "product_retailer_id")]
    pub(in crate::emulator) product_retailer_id: Option<String>,
}
