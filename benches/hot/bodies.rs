//! Deliveries as Connectly sends them.

/// An inbound text with callback data, of about 640 bytes.
pub(crate) fn inbound() -> String {
    let text = "Hello, I would like to know where my order is. ".repeat(6);
    format!(
        r#"{{"timestamp":"1767225600","sender":{{"id":"+15550100001","channelType":"whatsapp","name":"Ana"}},"recipient":{{"id":"+15550100002","channelType":"whatsapp","name":"Shop"}},"callbackData":{{"order_id":"12345"}},"message":{{"id":"01KDVDNK12MM0000000000002G","text":"{text}","attachments":[],"location":null}}}}"#
    )
}

/// A delivery status with a campaign.
pub(crate) fn status() -> String {
    r#"{"topic":"delivery_status","timestamp":"1767225611","sender":{"id":"+15550100002","channelType":"whatsapp","name":"Shop"},"recipient":{"id":"+15550100001","channelType":"whatsapp","name":"Ana"},"statusUpdate":{"id":"01KDVDKFMTMM00000000000001","status":"delivered","error":null,"metadata":{"campaignName":"spring"}},"callbackData":{"order_id":"12345"}}"#
        .to_owned()
}

/// A message of the business, seen leaving.
pub(crate) fn echo() -> String {
    r#"{"timestamp":"1767225609","sender":{"id":"+15550100002","channelType":"whatsapp","name":"Shop"},"recipient":{"id":"+15550100001","channelType":"whatsapp","name":"Ana"},"message":{"id":"01KDVDNK12MM0000000000002G","text":"Hello Ana, your order left this morning.","attachments":[],"location":null,"isEcho":true}}"#
        .to_owned()
}
