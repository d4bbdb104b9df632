//! Reads the parts of a gateway's `openclaw.json` that decide who may connect. No I/O.

use serde_json::Value;

use super::json5;
use super::shape::Shape;
use crate::base::sanitize::printable;
use crate::base::secret::Token;
use crate::logic::credentials::Secret;

/// The relevant parts of a configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenclawJson {
    /// The error that makes the file unreadable.
    pub(super) unreadable: Option<&'static str>,
    pub(super) secret: Compared,
    /// The path in the file of the token or password that was compared.
    pub(super) place: &'static str,
    pub(super) port: Option<u16>,
    pub(super) bind: Option<String>,
    /// A setting with which a gateway does not start.
    pub(super) bad_profiles: Vec<BadProfile>,
}

/// The secret in a configuration beside the one in hand.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Compared {
    /// The file holds none.
    #[default]
    Absent,
    /// The file names another place to take it from.
    Elsewhere,
    /// There is none in hand.
    NothingToCompare(Option<Shape>),
    Same,
    Differs(Option<Shape>),
}

/// An entry of `auth.profiles` that gateways refuse.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BadProfile {
    /// Its dotted place, such as `auth.profiles.anthropic.mode`; printable.
    pub(super) place: String,
    pub(super) what: &'static str,
}

impl OpenclawJson {
    /// Reads a configuration and compares its secret with `ours`.
    pub(super) fn read(text: &str, ours: Option<&Secret>) -> Self {
        let Some(config) = json5::parse(text) else {
            return Self {
                unreadable: Some("it is not JSON"),
                ..Self::default()
            };
        };
        if !config.is_object() {
            return Self {
                unreadable: Some("it is not an object"),
                ..Self::default()
            };
        }
        let (place, secret) = compare(&config, ours);
        Self {
            unreadable: None,
            secret,
            place,
            port: config
                .pointer("/gateway/port")
                .and_then(Value::as_u64)
                .and_then(|port| port.try_into().ok()),
            bind: config
                .pointer("/gateway/bind")
                .and_then(Value::as_str)
                .map(printable),
            bad_profiles: config
                .pointer("/auth/profiles")
                .map_or_else(Vec::new, bad_profiles),
        }
    }

    /// True if a password was compared.
    pub(super) fn is_password(&self) -> bool {
        self.place == PASSWORD
    }
}

const PASSWORD: &str = "gateway.auth.password";

fn compare(config: &Value, ours: Option<&Secret>) -> (&'static str, Compared) {
    let at = |pointer: &str| config.pointer(pointer).filter(|value| !value.is_null());
    let is_password = match ours {
        Some(Secret::Password(_)) => true,
        Some(Secret::Token(_)) => false,
        None => at("/gateway/auth/mode").and_then(Value::as_str) == Some("password"),
    };
    let (place, found) = if is_password {
        (PASSWORD, at("/gateway/auth/password"))
    } else {
        // A gateway of the 2026.9 generation takes the second where the first is not set
        // (measured); a client's own configuration has only the second.
        match at("/gateway/auth/token") {
            Some(token) => ("gateway.auth.token", Some(token)),
            None => ("gateway.remote.token", at("/gateway/remote/token")),
        }
    };
    let compared = match found {
        None => Compared::Absent,
        Some(Value::String(text)) if text.contains("${") => Compared::Elsewhere,
        Some(Value::String(text)) => match Token::new(text.as_str()) {
            Err(_) => Compared::Absent,
            Ok(theirs) => {
                let shape = (!is_password).then(|| Shape::of(&theirs));
                match ours {
                    None => Compared::NothingToCompare(shape),
                    Some(ours) if ours.holds(&theirs) => Compared::Same,
                    Some(_) => Compared::Differs(shape),
                }
            }
        },
        // A reference to a secret store.
        Some(_) => Compared::Elsewhere,
    };
    (place, compared)
}

/// Measured: 2026.2.9 and 2026.9.6 do not start unless each profile is an object with a `provider`
/// and a `mode` of this list (2026.2.9 without `aws-sdk`).
const MODES: [&str; 4] = ["api_key", "aws-sdk", "oauth", "token"];

fn bad_profiles(profiles: &Value) -> Vec<BadProfile> {
    let bad = |place: String, what| BadProfile {
        place: printable(&place),
        what,
    };
    let Some(profiles) = profiles.as_object() else {
        return vec![bad(
            "auth.profiles".to_owned(),
            "is not an object of profiles",
        )];
    };
    let mut found = Vec::new();
    for (name, profile) in profiles {
        let place = format!("auth.profiles.{name}");
        if !profile.is_object() {
            found.push(bad(place, "is not an object"));
            continue;
        }
        let text = |field: &str| profile.get(field).and_then(Value::as_str);
        if text("provider").is_none() {
            found.push(bad(format!("{place}.provider"), "is missing"));
        }
        match text("mode") {
            None => found.push(bad(format!("{place}.mode"), "is missing")),
            Some(mode) if !MODES.contains(&mode) => {
                found.push(bad(
                    format!("{place}.mode"),
                    "is none of api_key, aws-sdk, oauth, token",
                ));
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(value: &str) -> Secret {
        Secret::Token(Token::new(value).unwrap())
    }

    fn compared(config: &Value, ours: Option<&Secret>) -> (Compared, &'static str) {
        let read = OpenclawJson::read(&config.to_string(), ours);
        (read.secret, read.place)
    }

    const OURS: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_token_is_compared_and_never_kept() {
        let config = json!({"gateway":{"auth":{"token":OURS}}});
        let ours = token(OURS);
        assert_eq!(
            compared(&config, Some(&ours)),
            (Compared::Same, "gateway.auth.token")
        );
        let other = token("another-token-of-another-gateway");
        let read = OpenclawJson::read(&config.to_string(), Some(&other));
        assert!(matches!(read.secret, Compared::Differs(Some(_))));
        assert!(!format!("{read:?}").contains(OURS));
    }

    #[test]
    fn a_clients_own_configuration_has_its_token_elsewhere() {
        let config = json!({"gateway":{"mode":"remote","remote":{"token":OURS}}});
        assert_eq!(
            compared(&config, Some(&token(OURS))),
            (Compared::Same, "gateway.remote.token")
        );
    }

    #[test]
    fn a_reference_is_not_taken_for_a_token() {
        for value in [
            json!("${OPENCLAW_GATEWAY_TOKEN}"),
            json!({"source":"env","id":"X"}),
        ] {
            let config = json!({"gateway":{"auth":{"token":value}}});
            assert_eq!(compared(&config, Some(&token(OURS))).0, Compared::Elsewhere);
        }
        assert_eq!(compared(&json!({}), None).0, Compared::Absent);
    }

    #[test]
    fn a_password_is_compared_with_the_password_and_has_no_shape() {
        let config = json!({"gateway":{"auth":{"mode":"password","password":"correct horse"}}});
        let ours = Secret::Password(Token::new("correct horse").unwrap());
        assert_eq!(compared(&config, Some(&ours)).0, Compared::Same);
        let other = Secret::Password(Token::new("battery staple").unwrap());
        assert_eq!(compared(&config, Some(&other)).0, Compared::Differs(None));
    }

    #[test]
    fn a_profile_needs_a_provider_and_a_mode() {
        let bad = |profiles: &Value| -> Vec<String> {
            let config = json!({"auth":{"profiles":profiles}});
            OpenclawJson::read(&config.to_string(), None)
                .bad_profiles
                .into_iter()
                .map(|bad| bad.place)
                .collect()
        };
        assert!(bad(&json!({"anthropic":{"provider":"anthropic","mode":"api_key"}})).is_empty());
        assert_eq!(
            bad(&json!({"anthropic":{"type":"api_key","key":"x"}})),
            [
                "auth.profiles.anthropic.provider",
                "auth.profiles.anthropic.mode"
            ]
        );
        assert_eq!(bad(&json!({"a":"x"})), ["auth.profiles.a"]);
        assert_eq!(bad(&json!(["a"])), ["auth.profiles"]);
        assert_eq!(
            bad(&json!({"a\u{1b}":{"provider":"p","mode":"key"}})),
            ["auth.profiles.a\\u{1b}.mode"]
        );
    }

    #[test]
    fn what_is_no_configuration_is_said_and_nothing_else() {
        assert_eq!(
            OpenclawJson::read("# yaml: no", None).unreadable,
            Some("it is not JSON")
        );
        assert_eq!(
            OpenclawJson::read("[]", None).unreadable,
            Some("it is not an object")
        );
    }
}
