//! What a gateway looks at before it accepts a run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::edition::Edition;
use crate::model::connection::Live;
use crate::model::script::RunRequest;
use crate::wire::ErrorShape;

const NO_CHANNEL: &str = "Channel is required (no configured channels detected). Run openclaw channels add to \
    configure one, or pass --channel <channel> after enabling a channel. Use openclaw channels list --all to \
    see available channel ids.";

/// Refuses what a gateway refuses at once.
pub(super) fn check(edition: Edition, live: &Live, wanted: &RunRequest) -> Result<(), ErrorShape> {
    let params = &wanted.params;
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    let is_new = edition == Edition::V2026_9_6;
    let has_attachments = params["attachments"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    if wanted.method == "chat.send" && wanted.message.trim().is_empty() && !has_attachments {
        return Err(ErrorShape::invalid("message or attachment required"));
    }
    if wanted.method == "agent" {
        let overrides = text("model").or_else(|| text("provider"));
        if overrides.is_some() && is_new && !live.is_admin() {
            let text = "provider/model overrides are not authorized for this caller.";
            return Err(ErrorShape::invalid(text));
        }
        // There are no channels.
        if let Some(channel) = text("channel") {
            let text = format!("invalid agent params: unknown channel: {channel}");
            return Err(ErrorShape::invalid(text));
        }
        if params["deliver"] == true && is_new {
            return Err(ErrorShape::invalid(NO_CHANNEL));
        }
    }
    attachments(edition, params)
}

/// Measured: in 2026.9.6 the model of the mock takes text only, as a
/// model that says no more of itself does there; 2026.2.9 leaves out what its model cannot take.
fn attachments(edition: Edition, params: &Value) -> Result<(), ErrorShape> {
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
