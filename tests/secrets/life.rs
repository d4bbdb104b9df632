//! The whole life of a client, on both generations, with everything that can be heard of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openclaw_adapter::{Client, Config, ConfigBuilder, ConnectionState, StopReason, Token, doctor};
use openclaw_mock_gateway::{Edition, Fault, MockGateway, ReloadMode};
use serde_json::{Value, json};

use crate::canary::Canaries;
use crate::tap::Tap;
use crate::witness;

const PATIENCE: Duration = Duration::from_secs(60);

/// One backend and one gateway, each with a directory of its own.
struct Life {
    dir: tempfile::TempDir,
    gateway: MockGateway,
    tap: Tap,
    canaries: Canaries,
    password: Option<String>,
}

impl Life {
    /// With a token, or with a password.
    async fn new(edition: Edition, with_password: bool) -> Self {
        let mut canaries = Canaries::default();
        let dir = tempfile::tempdir().unwrap();
        let builder = MockGateway::builder()
            .edition(edition)
            .recording(true)
            .reload(ReloadMode::AsTheEdition)
            .strict(false);
        let password = with_password.then(|| canaries.make("the password"));
        let gateway = match &password {
            Some(password) => builder.password(password),
            None => builder
                .token(canaries.make("the shared token"))
                .state_dir(dir.path().join("gateway")),
        };
        Self {
            gateway: gateway.start().await,
            dir,
            tap: Tap::default(),
            canaries,
            password,
        }
    }

    fn state_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("backend")
    }

    fn builder(&mut self) -> ConfigBuilder {
        let key = self.canaries.make("the value of an extra header");
        let builder = Config::builder()
            .url(self.gateway.url())
            .state_dir(self.state_dir())
            .header("X-Proxy-Key", key)
            .connector(self.tap.clone())
            .on_state(witness::state)
            .on_pairing(|pairing| {
                witness::debug(pairing);
                witness::text(pairing);
            });
        witness::debug(&builder);
        builder
    }

    /// Learns what the backend has stored since.
    fn learn(&mut self) {
        let inner = self.state_dir().join("identity");
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(inner.join(name)).unwrap()).unwrap()
        };
        let pem = read("device.json")["privateKeyPem"].take();
        let body: String = pem
            .as_str()
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let der = STANDARD.decode(body).unwrap();
        self.canaries.add("the private key", &der[der.len() - 32..]);
        let mut next = vec![read("tokens.json")];
        while let Some(value) = next.pop() {
            let Value::Object(fields) = value else {
                continue;
            };
            if let Some(token) = fields.get("token").and_then(Value::as_str) {
                self.canaries.add("a device token", token.as_bytes());
            }
            next.extend(fields.into_iter().map(|(_, value)| value));
        }
    }

    /// The signatures of every `connect` that was sent.
    fn learn_signatures(&mut self) {
        let sent = self.tap.sent();
        let frames = sent.lines().filter(|line| line.starts_with('{'));
        for frame in frames.filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if let Some(signature) = frame["params"]["device"]["signature"].as_str() {
                self.canaries.add("a signature", signature.as_bytes());
            }
        }
    }

    async fn approve(&self, client: &Client) {
        let Ok(request) = self.gateway.wait_for_pending(PATIENCE).await else {
            panic!("nobody asks for approval: {:?}", client.state().borrow());
        };
        self.gateway.approve(&request.request_id).unwrap();
    }

    /// Nothing of it is anywhere but on the wire and in the files that are for it.
    fn assert_silence(mut self, must_have_been_sent: &[&str]) {
        self.learn();
        self.learn_signatures();
        let sent = self.tap.sent();
        let seen = self.canaries.present(&sent);
        for name in must_have_been_sent {
            assert!(seen.contains(name), "{name} was never sent: {seen:?}");
        }
        assert!(
            !seen.contains(&"the private key"),
            "the private key was sent"
        );
        assert!(
            self.canaries
                .present(&self.tap.received())
                .contains(&"a device token"),
            "the gateway gave no token"
        );

        witness::debug(&self.gateway);
        witness::debug(&self.gateway.frames());
        witness::debug(&self.gateway.paired());
        if let Some(report) = self.gateway.report() {
            witness::text(&report);
        }
        assert!(self.gateway.frames().len() > 10, "nothing was recorded");
        let said = witness::take();
        // Everything was listened to: our own words, and those of the crates below.
        assert!(said.tracing.contains("openclaw_adapter::state: ready"));
        assert!(said.log.contains("tungstenite"));
        assert!(said.panics.contains("called `Result::unwrap()`"));
        said.assert_silence(&self.canaries);
        for name in ["cmdline", "comm", "environ", "status"] {
            let text = fs::read(format!("/proc/self/{name}")).unwrap();
            self.canaries.absent(name, &String::from_utf8_lossy(&text));
        }
        let state = self.state_dir();
        for dir in [&state, &state.join("identity")] {
            assert_eq!(mode(dir), 0o700, "{}", dir.display());
        }
        self.look_at_files(self.dir.path());
    }

    /// Files with secrets are for their owner only.
    fn look_at_files(&self, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.look_at_files(&path);
                continue;
            }
            let text = fs::read(&path).unwrap();
            let held = self.canaries.present(&String::from_utf8_lossy(&text));
            assert!(
                held.is_empty() || mode(&path) == 0o600,
                "{held:?} in {}, mode {:o}",
                path.display(),
                mode(&path)
            );
        }
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Waits for a state.
pub(crate) async fn until(
    client: &Client,
    wanted: impl Fn(&ConnectionState) -> bool,
) -> ConnectionState {
    let mut states = client.state();
    let waiting = tokio::time::timeout(PATIENCE, states.wait_for(wanted));
    let Ok(state) = waiting.await else {
        panic!("the state does not come: {:?}", client.state().borrow());
    };
    state.unwrap().clone()
}

fn is_ready(state: &ConnectionState) -> bool {
    state.is_ready()
}

/// The id of the connection that is, or was last.
fn connection(client: &Client) -> String {
    match &*client.state().borrow() {
        ConnectionState::Ready { hello, .. } => hello.conn_id.clone(),
        other => panic!("not connected: {other:?}"),
    }
}

/// Waits for a connection after `before`.
async fn another(client: &Client, before: &str) {
    let is_another = |state: &ConnectionState| matches!(state, ConnectionState::Ready { hello, .. } if hello.conn_id != before);
    until(client, is_another).await;
}

async fn calls(client: &Client) {
    witness::debug(&client.ready().await.unwrap());
    client.call_raw("health", json!({})).await.unwrap();
    for (method, params) in [
        ("no.such.method", json!({})),
        ("config.set", json!({})),
        ("chat.send", json!({"sessionKey": 7})),
    ] {
        witness::error(&client.call_raw(method, params).await.unwrap_err());
    }
    witness::error(&client.devices().list().await.unwrap_err());
}

/// What the doctor says of it, with this token.
async fn examined(life: &mut Life, token: &str) {
    let builder = life.builder().token(Token::new(token).unwrap());
    let report = doctor::examine(&builder, &doctor::Options::new()).await;
    assert!(report.finding(doctor::Check::Login).is_some());
    witness::debug(&report);
    for finding in &report.findings {
        witness::text(&serde_json::to_string(finding).unwrap());
    }
    witness::text(&serde_json::to_string(&report.verdict).unwrap());
}

/// First contact, approval, calls, a kill, a changed token, a rotation, a removal, strange answers.
async fn a_whole_life(edition: Edition) {
    let mut life = Life::new(edition, false).await;
    let token = Token::new(life.gateway.token()).unwrap();
    let config = life.builder().token(token).build().unwrap();
    witness::debug(&config);
    witness::debug(config.store());
    let client = Client::start(config);
    witness::debug(&client);
    until(&client, |state| {
        matches!(state, ConnectionState::AwaitingApproval { .. })
    })
    .await;
    life.approve(&client).await;
    until(&client, is_ready).await;
    calls(&client).await;
    let token = life.gateway.token();
    examined(&mut life, &token).await;
    let wrong = life.canaries.make("a wrong token");
    examined(&mut life, &wrong).await;
    // The approval's own token comes with the next connection on one of the generations.
    let first = connection(&client);
    life.gateway.kill();
    life.gateway.start_again().await.unwrap();
    another(&client, &first).await;
    life.learn();

    // The shared token changes under the client: its own token has to serve.
    let changed = life.canaries.make("the changed token");
    let second = connection(&client);
    life.gateway.set_token_on_disk(&changed).unwrap();
    another(&client, &second).await;
    calls(&client).await;

    // Now neither is right.
    let device = life.gateway.paired()[0].device_id.clone();
    life.gateway.rotate(&device, "operator", None).unwrap();
    if edition == Edition::V2026_2_9 {
        life.gateway.restart().await.unwrap();
    }
    let stopped = until(&client, ConnectionState::is_stopped).await;
    assert!(matches!(
        stopped,
        ConnectionState::Stopped {
            reason: StopReason::Refused(_),
            ..
        }
    ));
    witness::error(&client.call_raw("health", json!({})).await.unwrap_err());
    client.set_token(Token::new(changed).unwrap());
    until(&client, is_ready).await;
    life.learn();

    let third = connection(&client);
    life.gateway.remove(&device).unwrap();
    if edition == Edition::V2026_2_9 {
        life.gateway.restart().await.unwrap();
    }
    life.approve(&client).await;
    another(&client, &third).await;
    life.learn();

    for fault in [
        Fault::close(1008, "slow consumer"),
        Fault::not_json(),
        Fault::deep_nesting(10_000),
        Fault::drop_mid_frame(),
    ] {
        life.gateway.inject(fault);
        let _ = client.call_raw("health", json!({})).await;
    }
    until(&client, is_ready).await;
    client.close().await;
    witness::debug(&client);
    witness::error(&client.call_raw("health", json!({})).await.unwrap_err());
    life.assert_silence(&[
        "the shared token",
        "the changed token",
        "a wrong token",
        "a device token",
        "the value of an extra header",
        "a signature",
    ]);
}

/// The gateway is in password mode, and the backend mistypes it first.
async fn a_life_with_a_password(edition: Edition) {
    let mut life = Life::new(edition, true).await;
    let wrong = life.canaries.make("a wrong password");
    let config = life.builder().password(Token::new(wrong).unwrap());
    let client = Client::start(config.build().unwrap());
    until(&client, ConnectionState::is_stopped).await;
    client.close().await;
    let password = Token::new(life.password.clone().unwrap()).unwrap();
    let client = Client::start(life.builder().password(password).build().unwrap());
    life.approve(&client).await;
    until(&client, is_ready).await;
    calls(&client).await;
    client.close().await;
    life.assert_silence(&["the password", "a wrong password", "a signature"]);
}

#[test]
fn a_whole_life_at_trace_shows_no_secret_anywhere() {
    witness::listen();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for edition in [Edition::V2026_2_9, Edition::V2026_9_6] {
            a_whole_life(edition).await;
            a_life_with_a_password(edition).await;
        }
        crate::echo::a_gateway_that_repeats_what_it_was_told().await;
        crate::echo::a_proxy_that_repeats_what_it_was_told().await;
    });
    crate::mistakes::secrets_in_the_wrong_place();
}
