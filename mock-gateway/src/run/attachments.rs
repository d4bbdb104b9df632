//! What may come along with a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::edition::Edition;
use crate::wire::ErrorShape;

/// Refuses what a gateway refuses at once. Measured: in 2026.9.6 the model of the mock takes text only, as a
/// model that says no more of itself does there; 2026.2.9 leaves out what its model cannot take.
pub(super) fn check(edition: Edition, params: &Value) -> Result<(), ErrorShape> {
    let attachments = params["attachments"].as_array().into_iter().flatten();
    for (at, attachment) in attachments.enumerate() {
        let text = |name: &str| attachment.get(name).and_then(Value::as_str);
        let number = format!("attachment-{}", at + 1);
        let name = text("fileName").unwrap_or(&number);
        let content = text("content").unwrap_or_default();
        if STANDARD.decode(content).is_err() {
            let message = format!("Error: attachment {name}: invalid base64 content");
            return Err(ErrorShape::invalid(message));
        }
        if edition == Edition::V2026_2_9 {
            continue;
        }
        let kind = text("mimeType").unwrap_or("application/octet-stream");
        let complaint = if kind.starts_with("image/") {
            "active model does not accept image inputs".to_owned()
        } else {
            format!("non-image attachments ({kind}) are not supported on this entrypoint")
        };
        let message = format!("UnsupportedAttachmentError: attachment {name}: {complaint}");
        return Err(ErrorShape::invalid(message));
    }
    Ok(())
}
