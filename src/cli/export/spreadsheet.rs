//! Events as CSV (RFC 4180), for spreadsheets that take cells for more than text.

use csv::{Terminator, Writer, WriterBuilder};

use crate::cli::admin::Document;
use crate::cli::list::{fields, text, tree};

/// The columns that are written as JSON: they may hold anything.
const AS_JSON: [&str; 4] = ["callback_data", "content", "error", "report"];

/// The columns, and where their text is in an event's JSON. Programs rely on names and order: new ones go to the end.
const COLUMNS: [(&str, &str); 28] = [
    ("id", "/id"),
    ("type", "/type"),
    ("account", "/account"),
    ("occurred_at", "/occurred_at"),
    ("received_at", "/received_at"),
    ("conversation_id", "/conversation_id"),
    ("business", "/business/id"),
    ("business_name", "/business/name"),
    ("customer_id", "/customer/id"),
    ("phone", "/customer/phone"),
    ("user_id", "/customer/user_id"),
    ("name", "/customer/name"),
    ("provider_message_id", "/provider_message_id"),
    ("in_reply_to", "/in_reply_to"),
    ("status", "/status"),
    ("message_id", "/message_id"),
    ("callback_data", "/callback_data"),
    ("campaign", "/campaign"),
    ("kind", "/content/kind"),
    ("text", "/content/text"),
    ("error_code", "/error/code"),
    ("error_message", "/error/message"),
    ("trace_id", "/error/trace_id"),
    ("duplicates", "/duplicates"),
    ("body_purged", "/body_purged"),
    ("content", "/content"),
    ("error", "/error"),
    ("report", "/report"),
];

/// The first line: the columns' names.
pub(super) fn headings() -> String {
    format!("{}\r\n", COLUMNS.map(|(name, _)| name).join(","))
}

/// A line for each event.
pub(super) fn rows(page: &[Document]) -> anyhow::Result<Vec<u8>> {
    let mut writer: Writer<Vec<u8>> =
        WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for document in page {
        writer.write_record(cells(document.get()))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn cells(event: &str) -> [String; COLUMNS.len()] {
    let (raw, tree) = (fields(event), tree(event));
    COLUMNS.map(|(name, pointer)| {
        let cell = if AS_JSON.contains(&name) {
            raw.get(name).map(|json| json.get().to_owned()).unwrap_or_default()
        } else {
            text(&tree, pointer)
        };
        harmless(cell)
    })
}

/// A cell that a spreadsheet takes for text. What begins like a formula gets an apostrophe, the spreadsheets' own mark of a
/// text; so does what begins with one, so that dropping one apostrophe gives back every cell.
fn harmless(cell: String) -> String {
    let begins = |first| matches!(first, '\'' | '=' | '+' | '-' | '@' | '\t' | '\r' | '\n') || is_wide(first);
    if cell.starts_with(begins) { format!("'{cell}") } else { cell }
}

/// The wide forms of `=`, `+`, `-` and `@`, which East Asian spreadsheets take for the narrow ones.
const fn is_wide(first: char) -> bool {
    matches!(first, '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn documents(events: &Value) -> Vec<Document> {
        serde_json::from_str(&events.to_string()).unwrap()
    }

    /// The cells as a reader of CSV sees them, under the headings.
    fn read(page: &[Document]) -> Vec<Vec<(String, String)>> {
        let bytes = [headings().into_bytes(), rows(page).unwrap()].concat();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let named =
            |row: csv::StringRecord| names.iter().cloned().zip(row.iter().map(str::to_owned)).collect();
        reader.records().map(|row| named(row.unwrap())).collect()
    }

    fn cell(row: &[(String, String)], name: &str) -> String {
        row.iter().find(|(column, _)| column == name).unwrap().1.clone()
    }

    #[test]
    fn every_field_has_its_column() {
        let received = json!({"id": "01E1", "type": "message.received", "account": "default",
            "occurred_at": "2026-01-01T00:00:00Z", "received_at": "2026-01-01T00:00:00.123Z", "conversation_id": "01C1",
            "business": {"id": "+15550100002", "name": "Shop"},
            "customer": {"id": "01K1", "phone": "+15550100001", "user_id": null, "name": "Ana"},
            "provider_message_id": "01P1", "in_reply_to": "01P0", "campaign": "spring",
            "content": {"kind": "text", "text": "Olá, \"você\"\nhi"}, "duplicates": 2});
        let failed = json!({"id": "01E2", "type": "message.failed", "account": "default",
            "customer": {"phone": null, "user_id": "US.1"}, "status": "failed", "message_id": "01M1",
            "callback_data": {"order": "1"}, "duplicates": 0,
            "error": {"code": "ERROR_CODE_X", "message": "no, not now", "trace_id": "t-1"}, "body_purged": true});
        let written = rows(&documents(&json!([received, failed]))).unwrap();
        insta::assert_snapshot!((headings() + &String::from_utf8(written).unwrap()).replace('\r', "␍"), @r#"
        id,type,account,occurred_at,received_at,conversation_id,business,business_name,customer_id,phone,user_id,name,provider_message_id,in_reply_to,status,message_id,callback_data,campaign,kind,text,error_code,error_message,trace_id,duplicates,body_purged,content,error,report␍
        01E1,message.received,default,2026-01-01T00:00:00Z,2026-01-01T00:00:00.123Z,01C1,'+15550100002,Shop,01K1,'+15550100001,,Ana,01P1,01P0,,,,spring,text,"Olá, ""você""
        hi",,,,2,,"{""kind"":""text"",""text"":""Olá, \""você\""\nhi""}",,␍
        01E2,message.failed,default,,,,,,,,US.1,,,,failed,01M1,"{""order"":""1""}",,,,ERROR_CODE_X,"no, not now",t-1,0,true,,"{""code"":""ERROR_CODE_X"",""message"":""no, not now"",""trace_id"":""t-1""}",␍
        "#);
    }

    #[test]
    fn no_cell_begins_like_a_formula_and_every_text_can_be_had_back() {
        let hostile = [
            "=HYPERLINK(\"http://evil\")",
            "+1+1",
            "-2+3",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\u{ff1d}1",
            "'=1",
            "\",=1",
            "a\r\n=1",
            "",
            "plain",
        ];
        for said in hostile {
            let event =
                json!({"id": said, "customer": {"name": said}, "content": {"text": said}, "campaign": said});
            let read = read(&documents(&json!([event])));
            for column in ["id", "name", "text", "campaign"] {
                let cell = cell(&read[0], column);
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}']), "{cell:?}");
                assert_eq!(cell.strip_prefix('\'').unwrap_or(&cell), said);
            }
        }
    }

    #[test]
    fn callback_data_is_written_as_it_came() {
        for json in [r#"{"big":12345678901234567890123}"#, "null", "-1", "\"=1\"", "[1, 2]"] {
            let page: Vec<Document> =
                serde_json::from_str(&format!(r#"[{{"id": "01E1", "callback_data": {json}}}]"#)).unwrap();
            let cell = cell(&read(&page)[0], "callback_data");
            assert_eq!(cell.strip_prefix('\'').unwrap_or(&cell), json);
        }
        let absent = read(&documents(&json!([{"id": "01E1"}])));
        assert_eq!(cell(&absent[0], "callback_data"), "");
    }
}
