//! The values that must not appear in any output.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use serde_json::Value;

/// Values shorter than this are not taken for secrets: they would match by chance.
const SHORTEST: usize = 12;

/// A growing set of secret values, shared by everybody who learns one.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeSet<String>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secrets").field(&self.lock().len()).finish()
    }
}

impl Secrets {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new random token, remembered, as long as the ones the gateway makes itself.
    ///
    /// # Errors
    ///
    /// Where the system gives no random bytes.
    pub fn new_token(&self) -> anyhow::Result<String> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).context("random bytes")?;
        let mut token = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(token, "{byte:02x}");
        }
        self.add(&token);
        Ok(token)
    }

    /// Remembers one value.
    pub fn add(&self, value: &str) {
        let value = value.trim();
        if value.len() >= SHORTEST {
            self.lock().insert(value.to_owned());
        }
    }

    /// Remembers the private keys and device tokens kept below an adapter's state directory.
    ///
    /// A file that is not there, or not JSON, has none to give.
    pub fn learn_from(&self, state_dir: &Path) {
        for file in ["device.json", "tokens.json"] {
            let path = state_dir.join("identity").join(file);
            if let Ok(text) = std::fs::read_to_string(path)
                && let Ok(value) = serde_json::from_str::<Value>(&text)
            {
                self.learn_value(&value);
            }
        }
    }

    fn learn_value(&self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("token" | "deviceToken", Value::String(token)) => self.add(token),
                        ("privateKeyPem", Value::String(pem)) => {
                            // The body alone: the armour around it is no secret.
                            pem.lines()
                                .filter(|line| !line.starts_with('-'))
                                .for_each(|line| self.add(line));
                        }
                        _ => self.learn_value(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_value(item)),
            _ => {}
        }
    }

    /// The text with every known secret replaced.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.lock().iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "[secret]")
        })
    }

    /// Whether the text holds a known secret.
    #[must_use]
    pub fn found_in(&self, text: &str) -> bool {
        self.lock()
            .iter()
            .any(|secret| text.contains(secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_token_and_a_private_key_in_a_state_directory_are_redacted() {
        let dir = tempfile::tempdir().unwrap();
        let identity = dir.path().join("identity");
        std::fs::create_dir(&identity).unwrap();
        std::fs::write(
            identity.join("tokens.json"),
            r#"{"gateways":{"ws://x":{"operator":{"token":"device-token-value","scopes":["a"]}}}}"#,
        )
        .unwrap();
        std::fs::write(
            identity.join("device.json"),
            r#"{"privateKeyPem":"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n"}"#,
        )
        .unwrap();
        let secrets = Secrets::default();
        secrets.learn_from(dir.path());

        let said = "token device-token-value, key MC4CAQAwBQYDK2Vw, -----BEGIN PRIVATE KEY-----";

        assert!(secrets.found_in(said));
        assert_eq!(
            secrets.redact(said),
            "token [secret], key [secret], -----BEGIN PRIVATE KEY-----"
        );
    }
}
