//! `openclaw-adapter devices`: what `openclaw devices` does, without Node.
//!
//! It connects with an identity of its own; see [`operator`].

use std::io;
use std::time::Duration;

use openclaw_adapter::{Client, ConfigBuilder, DeviceList, Error, GatewayError, PairingPolicy};
use serde_json::Value;

use crate::args::{Devices, Scopes};
use crate::connect_once::{self, Failure};
use crate::exit::Exit;
use crate::output::{Output, plain};
use crate::setup::{PAIRING, Signals, operator};

/// The time to wait for a gateway that is starting.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(
    builder: ConfigBuilder,
    scopes: Option<&Scopes>,
    command: &Devices,
    output: Output,
) -> io::Result<Exit> {
    let builder = match operator(builder, scopes) {
        Ok(builder) => builder.pairing(PairingPolicy::FailFast),
        Err(error) => {
            output.config(&error)?;
            return Ok(Exit::of_config(&error));
        }
    };
    let mut signals = Signals::listen()?;
    let acted = tokio::select! {
        biased;
        signal = signals.next() => return Ok(signal),
        acted = act(builder, scopes, command) => acted,
    };
    match acted {
        Ok((value, text)) => {
            output.print(&value, || text)?;
            Ok(Exit::Done)
        }
        Err(Failure::Unreachable(message)) => {
            output.unreachable(&message)?;
            Ok(Exit::Unreachable)
        }
        Err(Failure::Call(error)) => {
            let (kind, fix) = advice(command, &error);
            output.stopped(kind, &error.to_string(), &fix)?;
            Ok(Exit::of_error(&error))
        }
    }
}

fn advice(command: &Devices, error: &Error) -> (&'static str, String) {
    match error {
        Error::PairingRequired(pairing) => (
            "pairing_not_approved",
            format!(
                "Run this on the gateway's own host, through its loopback address, where no approval is needed; or approve this operator there once: {}",
                pairing.approve_command()
            ),
        ),
        Error::Unsupported { .. } => (
            "call_refused",
            "This gateway is of the generation of 2026.2.9: delete the device from devices/paired.json in the gateway's state directory. It counts from the device's next login on.".to_owned(),
        ),
        Error::Call { error, .. } => ("call_refused", after_refusal(command, error)),
        other => connect_once::advice(other),
    }
}

/// Returns the next step after a refusal; gateways do not say if an id exists.
fn after_refusal(command: &Devices, error: &GatewayError) -> String {
    match command {
        _ if error.missing_scope().is_some() => String::new(),
        Devices::List => String::new(),
        Devices::Approve { .. } | Devices::Reject { .. } => "Check the request id with `openclaw-adapter devices list`: a request ends after five minutes without its device, and another one has another id.".to_owned(),
        Devices::Remove { .. } => "Check the device id with `openclaw-adapter devices list`: it is needed in full.".to_owned(),
    }
}

async fn act(
    builder: ConfigBuilder,
    scopes: Option<&Scopes>,
    command: &Devices,
) -> Result<(Value, String), Failure> {
    let asked = |needed: &[String]| scopes.map_or_else(|| needed.to_vec(), |given| given.0.clone());
    let client = connect(builder.clone(), asked(&[PAIRING.to_owned()])).await?;
    let result = match command {
        Devices::List => {
            let list = client.devices().list().await?;
            (to_json(&list)?, table(&list))
        }
        Devices::Approve { request_id } => {
            let list = client.devices().list().await?;
            client.close().await;
            // 2026.9.6 lets nobody grant what they do not hold.
            let mut needed = vec![PAIRING.to_owned()];
            if let Some(request) = list
                .pending
                .iter()
                .find(|one| one.request_id == *request_id)
            {
                needed.extend(
                    request
                        .scopes
                        .iter()
                        .filter(|scope| *scope != PAIRING)
                        .cloned(),
                );
            }
            let client = connect(builder, asked(&needed)).await?;
            let approved = client.devices().approve(request_id).await?;
            client.close().await;
            let text = format!(
                "Approved {} ({})",
                plain(&approved.device.device_id),
                plain(&approved.request_id)
            );
            return Ok((to_json(&approved)?, text));
        }
        Devices::Reject { request_id } => {
            let rejected = client.devices().reject(request_id).await?;
            let text = format!("Rejected {}", plain(&rejected.request_id));
            (to_json(&rejected)?, text)
        }
        Devices::Remove { device_id } => {
            let removed = client.devices().remove(device_id).await?;
            let text = format!("Removed {}", plain(&removed.device_id));
            (to_json(&removed)?, text)
        }
    };
    client.close().await;
    Ok(result)
}

async fn connect(builder: ConfigBuilder, scopes: Vec<String>) -> Result<Client, Failure> {
    let config = builder.scopes(scopes).build().map_err(Error::from)?;
    connect_once::connect(config, PATIENCE).await
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::Unreachable(error.to_string()))
}

fn table(list: &DeviceList) -> String {
    let mut lines = vec![format!("Pending ({})", list.pending.len())];
    for one in &list.pending {
        lines.push(format!(
            "  {}  device {}  {}  role {}  scopes [{}]{}{}",
            plain(&one.request_id),
            short(&one.device_id),
            one.display_name
                .as_deref()
                .map_or_else(|| "-".to_owned(), plain),
            one.role.as_deref().map_or_else(|| "-".to_owned(), plain),
            plain(&one.scopes.join(" ")),
            one.remote_ip
                .as_deref()
                .map_or_else(String::new, |ip| format!("  from {}", plain(ip))),
            if one.is_repair {
                "  (asks for more)"
            } else {
                ""
            },
        ));
    }
    lines.push(format!("Paired ({})", list.paired.len()));
    for one in &list.paired {
        let name = one
            .operator_label
            .as_deref()
            .or(one.display_name.as_deref());
        lines.push(format!(
            "  {}  {}  roles [{}]  scopes [{}]{}",
            plain(&one.device_id),
            name.map_or_else(|| "-".to_owned(), plain),
            plain(&one.roles.join(" ")),
            plain(&one.scopes.join(" ")),
            if one.connected == Some(true) {
                "  connected"
            } else {
                ""
            },
        ));
    }
    lines.join("\n")
}

fn short(device_id: &str) -> String {
    plain(device_id).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_shows_ids_to_copy_and_no_escape_sequences() {
        let list: DeviceList = serde_json::from_value(json!({
            "pending":[{"requestId":"r-1","deviceId":"d".repeat(64),"displayName":"a\u{1b}[31mb","role":"operator","scopes":["operator.read"],"ts":1}],
            "paired":[{"deviceId":"e".repeat(64),"roles":["operator"],"scopes":[],"connected":true}]
        }))
        .unwrap();
        let text = table(&list);
        assert!(text.contains("Pending (1)") && text.contains("r-1") && text.contains("connected"));
        assert!(!text.contains('\u{1b}'));
    }
}
