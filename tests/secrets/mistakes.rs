//! A secret where none belongs: the complaint must not repeat it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use openclaw_adapter::{
    Config, ConfigBuilder, DeviceId, DeviceIdentity, DeviceToken, Endpoint, Error, FileStore,
    IdentityStore as _, InlineStore, MemoryStore, TlsFingerprint, Token,
};
use serde_json::json;

use crate::canary::Canaries;
use crate::witness;

/// What a builder that must not build says.
fn refused(number: usize, builder: ConfigBuilder) {
    witness::debug(&builder);
    let Err(error) = builder.build() else {
        panic!("mistake {number} is none");
    };
    witness::text(&error.fix().unwrap_or_default());
    witness::error(&error);
    witness::error(&Error::from(error));
}

fn file(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).mode(0o600).open(&path);
    std::io::Write::write_all(&mut file.unwrap(), content.as_bytes()).unwrap();
    path
}

pub(crate) fn secrets_in_the_wrong_place() {
    let mut canaries = Canaries::default();
    let secret = canaries.make("a secret in the wrong place");
    let dir = tempfile::tempdir().unwrap();
    configurations(&secret, dir.path());
    values(&secret);
    stores(&secret, dir.path());
    let said = witness::take();
    assert!(said.texts.len() > 2_000, "{}", said.texts);
    said.assert_silence(&canaries);
}

fn configurations(secret: &str, dir: &Path) {
    let builder = || {
        Config::builder()
            .token(Token::new("a-token-0123").unwrap())
            .store(MemoryStore::new())
    };
    let at = |path: PathBuf| Config::builder().store(MemoryStore::new()).token_file(path);
    let mistakes = [
        builder().url(format!("ws://user:{secret}@127.0.0.1:1")),
        builder().url(format!("ws://{secret}@127.0.0.1:1")),
        builder().url(format!("https://127.0.0.1/{secret} x")),
        builder().url(format!("ws://127.0.0.1:{secret}")),
        builder().url(format!("ws://[{secret}]")),
        builder().header("X-Key", format!("{secret}\nx")),
        builder().header("Authorization ", secret),
        builder().header("Host", secret),
        builder().tls_fingerprint(secret),
        builder().url("wss://127.0.0.1:1").tls_fingerprint(secret),
        builder()
            .url("wss://127.0.0.1:1")
            .root_certificates(file(dir, "roots", secret)),
        at(file(dir, "two-lines", &format!("{secret}\n{secret}"))),
        at(file(dir, "long", &secret.repeat(1_000))),
    ];
    for (number, builder) in mistakes.into_iter().enumerate() {
        refused(number, builder);
    }
    let url = format!("wss://127.0.0.1:1/gateway?ticket={secret}");
    let config = builder().url(url).header("X-Key", secret).build().unwrap();
    witness::debug(&config);
    witness::text(config.endpoint());
    witness::text(&config.endpoint().key());
    witness::debug(&config.endpoint().key());
}

fn values(secret: &str) {
    let token = Token::new(secret).unwrap();
    witness::debug(&token);
    let token = DeviceToken::new(token, "operator", Vec::new(), 1);
    witness::debug(&token);
    witness::error(&Token::new(format!("{secret}\u{1b}")).unwrap_err());
    witness::error(&DeviceId::parse(secret).unwrap_err());
    witness::error(&TlsFingerprint::parse(secret).unwrap_err());
    witness::error(&Endpoint::parse(secret).unwrap_err());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    for text in [
        secret.to_owned(),
        json!({"version": secret}).to_string(),
        json!({"version": 1, "deviceId": secret}).to_string(),
        json!({"version": 1, "deviceId": "x", "publicKeyPem": pem, "privateKeyPem": pem})
            .to_string(),
    ] {
        witness::error(&DeviceIdentity::from_json(&text).unwrap_err());
        witness::error(&InlineStore::new(&text).unwrap_err());
    }
}

fn stores(secret: &str, dir: &Path) {
    let new = || DeviceIdentity::generate(1);
    let key = Endpoint::parse("ws://127.0.0.1:1").unwrap().key();
    for (number, (name, content)) in [
        ("device.json", secret.to_owned()),
        ("device.json", json!({"version": secret}).to_string()),
        ("tokens.json", secret.to_owned()),
        ("tokens.json", json!({"version": secret}).to_string()),
        (
            "tokens.json",
            json!({"version": 1, "gateways": {"g": {"d": {"tokens": {"operator": {"token": format!("{secret}\n{secret}")}}}}}}).to_string(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let state = dir.join(number.to_string());
        let inner = state.join("identity");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&inner).unwrap();
        let path = file(&inner, name, &content);
        let store = FileStore::new(&state);
        witness::debug(&store);
        let damaged = || match store.load_or_create(&mut &new) {
            Err(error) => error,
            Ok(identity) => store.gateway(&key, identity.id()).unwrap_err(),
        };
        let error = damaged();
        witness::text(&error.fix());
        witness::error(&error);
        witness::error(&store.import(secret).unwrap_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = damaged();
        witness::text(&error.fix());
        witness::error(&error);
    }
}
