//! The operator of the gateway: the commands, and their effects.

use std::path::PathBuf;

use anyhow::Context as _;
use openclaw_mock_gateway::{Edition, MockGateway};

use crate::narrator::Narrator;

const WHO: &str = "operator";

/// Prints each command and applies its effect to the gateway.
pub(crate) struct Operator<'a> {
    pub(crate) narrator: &'a Narrator,
    pub(crate) gateway: &'a MockGateway,
    pub(crate) gateway_dir: PathBuf,
}

impl Operator<'_> {
    /// `openclaw devices list`
    pub(crate) fn list(&self) {
        self.narrator.types(WHO, "openclaw devices list");
        let pending = self.gateway.pending();
        self.narrator
            .prints(&format!("Pending ({})", pending.len()));
        for request in pending {
            self.narrator.prints(&format!(
                "  {}  {}  device {}  {}",
                request.request_id,
                request.display_name.unwrap_or_default(),
                short(&request.device_id),
                request.scopes.join(" "),
            ));
        }
        let paired = self.gateway.paired();
        self.narrator.prints(&format!("Paired ({})", paired.len()));
        for device in paired {
            self.narrator.prints(&format!(
                "  device {}  {}  {}",
                short(&device.device_id),
                device.display_name.unwrap_or_default(),
                device.scopes.join(" "),
            ));
        }
    }

    /// `openclaw devices approve`
    pub(crate) fn approve(&self, request_id: &str) -> anyhow::Result<()> {
        self.narrator
            .types(WHO, &format!("openclaw devices approve {request_id}"));
        let device = self.gateway.approve(request_id)?;
        self.narrator
            .prints(&format!("Approved {}", short(&device.device_id)));
        Ok(())
    }

    /// Removes a device. 2026.2.9 has no command for it: there a file of the gateway is edited.
    pub(crate) fn remove(&self, device_id: &str) -> anyhow::Result<()> {
        if self.gateway.edition() == Edition::V2026_2_9 {
            self.narrator.types(
                WHO,
                &format!(
                    "\"$EDITOR\" {}   # delete the entry {}…",
                    self.gateway_dir.join("devices/paired.json").display(),
                    short(device_id)
                ),
            );
        } else {
            self.narrator
                .types(WHO, &format!("openclaw devices remove {device_id}"));
        }
        self.gateway.remove(device_id)?;
        Ok(())
    }

    /// Changes the token in the gateway's configuration.
    pub(crate) fn edit_token(&self, token: &str) -> anyhow::Result<()> {
        self.narrator.types(
            WHO,
            &format!(
                "\"$EDITOR\" {}   # another gateway.auth.token",
                self.gateway_dir.join("openclaw.json").display()
            ),
        );
        self.gateway.set_token_on_disk(token)?;
        Ok(())
    }

    /// `docker restart`
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        self.narrator.types(WHO, "docker restart openclaw");
        self.gateway.restart().await.context("restart the gateway")
    }
}

/// Returns the beginning of a device id, as in the adapter's log.
pub(crate) fn short(device_id: &str) -> &str {
    device_id.get(..12).unwrap_or(device_id)
}
