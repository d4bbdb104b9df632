//! Cases written as steps in a file, so that one more costs a few lines and no code.
//!
//! A step is an object; its first word says what is done, and its value names the client or the
//! device it is done with:
//!
//! | step | what it does | what it leaves in the log |
//! | --- | --- | --- |
//! | `connect` | dials and sends connect; `device`, `via`, `headers`, `sign`; `set` changes the parameters before they are signed, `change` after | all up to hello-ok or the close |
//! | `dial` | dials and reads the challenge; `via`, `headers` | nothing |
//! | `send` | sends `json` or `text` or `binary` as it stands | nothing |
//! | `call` | a request with `method` and `params`; `bare` leaves the payload out | the answer |
//! | `hear` | what the client is told until an answer to a later request, and a moment after | that |
//! | `end` | reads to the close | all since the last step of this client |
//! | `operator` | a local operator with `scopes` connects, without a device | nothing |
//! | `approve`, `reject` | a local operator answers the device's request | the answer if it is a refusal |
//!
//! `set` and `change` map JSON pointers to values; `null` takes a part out. In all values a text
//! `$token` stands for the shared token, `$deviceToken/A`, `$request/A`, `$device/A` and `$key/A`
//! for what belongs to device A, and `$null` for null.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Target;
use super::client::{Client, Via};
use super::device::{Claims, Device, Version};
use super::handshake::Attempt;
use super::operator::Operator;

/// Plays the steps of one case.
pub(super) async fn play(target: &Target, steps: &Value) -> Result<Vec<Value>> {
    let mut stage = Stage {
        target,
        clients: BTreeMap::new(),
        devices: BTreeMap::new(),
        log: Vec::new(),
    };
    for step in steps.as_array().context("the steps are no list")? {
        stage
            .step(step)
            .await
            .with_context(|| format!("step {step}"))?;
    }
    Ok(stage.log)
}

#[derive(Debug)]
struct Known {
    device: Device,
    token: Option<String>,
    request: Option<String>,
}

struct Stage<'a> {
    target: &'a Target,
    clients: BTreeMap<String, Client>,
    devices: BTreeMap<String, Known>,
    log: Vec<Value>,
}

impl Stage<'_> {
    async fn step(&mut self, step: &Value) -> Result<()> {
        for word in [
            "connect", "dial", "send", "call", "hear", "end", "operator", "approve", "reject",
        ] {
            if let Some(name) = step[word].as_str() {
                return self.act(word, name, step).await;
            }
        }
        bail!("an unknown step")
    }

    async fn act(&mut self, word: &str, name: &str, step: &Value) -> Result<()> {
        match word {
            "connect" => {
                let client = self.connect(step).await?;
                self.log.push(client.log().into());
                if let (Some(device), Some(hello)) = (step["device"].as_str(), client.hello()) {
                    let token = hello["payload"]["auth"]["deviceToken"].as_str();
                    if let (Some(token), Some(known)) = (token, self.devices.get_mut(device)) {
                        known.token = Some(token.to_owned());
                    }
                }
                self.enter(name, client);
            }
            "dial" => {
                let client = Client::dial(self.target, via(step), &headers(step)).await?;
                if !client.is_open() {
                    self.log.push(client.log().into());
                }
                self.enter(name, client);
            }
            "send" => {
                let json = self.filled(&step["json"]).await?;
                let client = self.client(name)?;
                if let Some(text) = step["binary"].as_str() {
                    client.send_binary(text.to_owned()).await?;
                } else {
                    let text = step["text"].as_str().map(str::to_owned);
                    client
                        .send_text(text.unwrap_or_else(|| json.to_string()))
                        .await?;
                }
            }
            "call" => {
                let method = step["method"].as_str().context("no method")?;
                let params = match step.get("params") {
                    Some(params) => Some(self.filled(params).await?),
                    None => None,
                };
                let mut answer = self.client(name)?.request(method, params).await?;
                self.client(name)?.forget(&answer);
                if step["bare"] == true
                    && let Some(answer) = answer.as_object_mut()
                {
                    answer.remove("payload");
                }
                if !self.target.fresh {
                    self.keep_own_rows(&mut answer);
                }
                self.log.push(json!({method: answer}));
            }
            "hear" | "end" => {
                let client = self.client(name)?;
                if word == "end" {
                    client.until_closed(Duration::from_secs(5)).await?;
                } else {
                    client.settle().await?;
                }
                let heard = client.log().to_vec();
                client.clear_log();
                self.log.push(json!({word: heard}));
            }
            "operator" => {
                let scopes = texts(&step["scopes"]);
                let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
                let operator = Operator::with_scopes(self.target, &scopes).await?;
                self.enter(name, operator.into_client());
            }
            _ => {
                let request = self.request_of(name).await?;
                let answer = Operator::admin(self.target)
                    .await?
                    .call(
                        &format!("device.pair.{word}"),
                        json!({"requestId": request}),
                    )
                    .await?;
                if answer["ok"] != true {
                    self.log.push(json!({word: answer}));
                }
            }
        }
        Ok(())
    }

    /// On a gateway that others use as well, lists are cut to this case's devices.
    fn keep_own_rows(&self, answer: &mut Value) {
        let known = self.devices.values();
        let ours: Vec<_> = known.map(|known| known.device.id()).collect();
        for list in ["paired", "pending"] {
            if let Some(rows) = answer
                .pointer_mut(&format!("/payload/{list}"))
                .and_then(Value::as_array_mut)
            {
                rows.retain(|row| ours.iter().any(|id| row["deviceId"] == id.as_str()));
            }
        }
    }

    fn enter(&mut self, name: &str, mut client: Client) {
        client.clear_log();
        self.clients.insert(name.to_owned(), client);
    }

    fn client(&mut self, name: &str) -> Result<&mut Client> {
        self.clients.get_mut(name).context("no such client")
    }

    fn device(&mut self, name: &str) -> Result<&mut Known> {
        if !self.devices.contains_key(name) {
            let known = Known {
                device: Device::new()?,
                token: None,
                request: None,
            };
            self.devices.insert(name.to_owned(), known);
        }
        self.devices.get_mut(name).context("no such device")
    }

    async fn connect(&mut self, step: &Value) -> Result<Client> {
        let mut client = Client::dial(self.target, via(step), &headers(step)).await?;
        if !client.is_open() {
            return Ok(client);
        }
        let (nonce, ts) = client.challenge()?;
        let mut params = Attempt::new(self.target, via(step), None).params(&nonce, ts);
        self.change(&mut params, &step["set"]).await?;
        if let Some(name) = step["device"].as_str() {
            let device = self.device(name)?.device.clone();
            params["device"] = proof(self.target, &device, &params, &step["sign"], &nonce, ts)?;
        }
        self.change(&mut params, &step["change"]).await?;
        let id = uuid::Uuid::new_v4().to_string();
        let frame = json!({"type": "req", "id": id, "method": "connect", "params": params});
        client.send_text(frame.to_string()).await?;
        client.until_hello_or_close().await?;
        Ok(client)
    }

    async fn change(&mut self, params: &mut Value, changes: &Value) -> Result<()> {
        for (pointer, value) in changes.as_object().into_iter().flatten() {
            let (parent, key) = pointer.rsplit_once('/').context("not a JSON pointer")?;
            let value = self.filled(value).await?;
            let parent = params
                .pointer_mut(parent)
                .and_then(Value::as_object_mut)
                .with_context(|| format!("nothing at {pointer}"))?;
            if changes[pointer].is_null() {
                parent.remove(key);
            } else {
                parent.insert(key.to_owned(), value);
            }
        }
        Ok(())
    }

    /// The request under which a device waits, or else the one under which it last did.
    async fn request_of(&mut self, name: &str) -> Result<String> {
        let device = self.device(name)?.device.clone();
        let pending = Operator::admin(self.target).await?.pending(&device).await?;
        let known = self.device(name)?;
        if pending.is_some() {
            known.request = pending;
        }
        Ok(known.request.clone().unwrap_or_else(|| "none".to_owned()))
    }

    /// The value with what stands for something replaced by it.
    async fn filled(&mut self, value: &Value) -> Result<Value> {
        let mut value = value.clone();
        let mut open = vec![&mut value];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => open.extend(fields.values_mut()),
                Value::String(text) if text.starts_with('$') => {
                    let text = text.clone();
                    *value = self.meaning(&text).await?;
                }
                _ => {}
            }
        }
        Ok(value)
    }

    async fn meaning(&mut self, text: &str) -> Result<Value> {
        let (word, name) = text.split_once('/').unwrap_or((text, ""));
        Ok(match word {
            "$null" => Value::Null,
            "$token" => self.target.token.clone().into(),
            "$device" => self.device(name)?.device.id().into(),
            "$key" => self.device(name)?.device.public_key().into(),
            "$deviceToken" => {
                let token = self.device(name)?.token.clone();
                token.context("the device has no token")?.into()
            }
            "$request" => self.request_of(name).await?.into(),
            _ => bail!("{text} stands for nothing"),
        })
    }
}

fn via(step: &Value) -> Via {
    if step["via"] == "local" {
        Via::Local
    } else {
        Via::Remote
    }
}

fn headers(step: &Value) -> Vec<(&str, &str)> {
    let headers = step["headers"].as_object().into_iter().flatten();
    headers
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The device's part of the parameters, signed over them as they are now.
fn proof(
    target: &Target,
    device: &Device,
    params: &Value,
    sign: &Value,
    nonce: &str,
    ts: i64,
) -> Result<Value> {
    let version = match sign["version"].as_str() {
        None => Version::of(target.edition),
        Some("v1") => Version::V1,
        Some("v2") => Version::V2,
        Some("v3") => Version::V3,
        Some(other) => bail!("no signature {other}"),
    };
    let client = |field: &str| params["client"][field].as_str().unwrap_or_default();
    let auth = |field: &str| params["auth"][field].as_str();
    let signed_at_ms = ts + sign["offsetMs"].as_i64().unwrap_or_default();
    let token = auth("token")
        .or_else(|| auth("deviceToken"))
        .or_else(|| auth("bootstrapToken"));
    let signature = device.sign(
        version,
        &Claims {
            client_id: client("id"),
            client_mode: client("mode"),
            role: params["role"].as_str().unwrap_or("operator"),
            scopes: &texts(&params["scopes"]),
            signed_at_ms,
            token: token.unwrap_or_default(),
            nonce,
            platform: client("platform"),
            device_family: client("deviceFamily"),
        },
    );
    Ok(json!({
        "id": device.id(),
        "publicKey": device.public_key(),
        "signature": signature,
        "signedAt": signed_at_ms,
        "nonce": nonce,
    }))
}
