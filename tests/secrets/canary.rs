//! Values that must not be seen, in every form in which they might be.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use openclaw_tests::scenarios::Secrets;

/// As lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// One secret, under the name that a failure may say.
pub(crate) struct Canary {
    name: String,
    forms: Vec<String>,
}

impl Canary {
    pub(crate) fn new(name: &str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 12, "{name} would be found by chance");
        let decimal = |byte: &u8| byte.to_string();
        let list: Vec<_> = secret.iter().take(12).map(decimal).collect();
        let mut forms = vec![
            hex(secret),
            hex(secret).to_uppercase(),
            list.join(", "),
            list.join(","),
        ];
        forms.extend(str::from_utf8(secret).ok().map(ToOwned::to_owned));
        // Base64 of something around it looks different at each of three offsets.
        for before in 0..3 {
            let padded = [&vec![0; before][..], secret].concat();
            let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
            for engine in [&STANDARD, &URL_SAFE] {
                forms.push(engine.encode(&padded)[from..to].to_owned());
            }
        }
        forms.sort();
        forms.dedup();
        Self {
            name: name.to_owned(),
            forms,
        }
    }
}

/// A growing set of them.
#[derive(Default)]
pub(crate) struct Canaries(Vec<Canary>);

impl Canaries {
    /// A new random secret.
    pub(crate) fn make(&mut self, name: &str) -> String {
        let secret = Secrets::default().new_token().unwrap();
        self.add(name, secret.as_bytes());
        secret
    }

    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        self.0.push(Canary::new(name, secret));
    }

    /// The name of the first one that is in the text, and what stands around it.
    fn find(&self, text: &str) -> Option<String> {
        self.0.iter().find_map(|canary| {
            let at = canary.forms.iter().find_map(|form| text.find(form))?;
            let before: Vec<_> = text[..at].chars().rev().take(400).collect();
            let before: String = before.into_iter().rev().collect();
            Some(format!("{} after `{before}`", canary.name))
        })
    }

    /// Fails if one of them is in the text.
    #[track_caller]
    pub(crate) fn absent(&self, place: &str, text: &str) {
        if let Some(found) = self.find(text) {
            panic!("in {place}: {found}");
        }
    }

    /// The names of those that are in the text.
    pub(crate) fn present(&self, text: &str) -> Vec<&str> {
        let is_in = |canary: &&Canary| canary.forms.iter().any(|form| text.contains(form));
        let names = self.0.iter().filter(is_in);
        names.map(|canary| canary.name.as_str()).collect()
    }
}

#[test]
fn a_canary_is_found_in_every_form() {
    let mut canaries = Canaries::default();
    let secret = canaries.make("secret");
    let bytes = secret.as_bytes();
    for said in [
        format!("x{secret}y"),
        hex(bytes).to_uppercase(),
        format!("{bytes:?}"),
        STANDARD.encode(format!("a{secret}")),
        URL_SAFE.encode(format!("ab{secret}c")),
        STANDARD.encode(format!("abc{secret}defg")),
    ] {
        assert!(canaries.find(&said).is_some(), "{said}");
    }
    assert!(canaries.find("nothing").is_none());
}
