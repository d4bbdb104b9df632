//! The tables "Common issues" of the guide to troubleshooting show messages exactly as this program prints them.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::{
    Client, Config, ConnectionState, DeviceIdentity, FileStore, MemoryStore, PairingPolicy,
    RefusalKind, Token,
};
use openclaw_mock_gateway::{Edition, Fault, MockGateway, Point};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::host::{Ended, Host, PATIENCE, Program};

/// Said by the gateway or by the `openclaw` CLI to others than this program.
const SAID_BY_OTHERS: [&str; 3] = [
    "pairing required",
    "Config invalid: auth.profiles",
    "no configuration file",
];

/// Words in a message of the page that stand for something else each time.
const STAND_INS: [&str; 4] = ["PATH", "HOST", "PORT", "TIME"];

/// All that was printed while the test put the program into trouble.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn take(&mut self, ended: &Ended) {
        self.0.push(format!("{}\n{}", ended.text(), ended.stderr));
    }

    async fn of(&mut self, program: Program) {
        let ended = program.env("RUST_LOG", "openclaw_adapter=info").run().await;
        self.take(&ended);
    }

    /// What it says up to a state, however long that takes.
    async fn up_to(&mut self, state: &str, program: Program) {
        let mut running = program.env("RUST_LOG", "openclaw_adapter=info").start();
        running.state(state).await;
        running.signal("TERM").await;
        self.take(&running.ended().await);
    }

    /// Whether the parts of a message stand in one line, in their order.
    fn has(&self, message: &str) -> bool {
        let mut parts = vec![message];
        for stand_in in STAND_INS.iter().chain(&["…"]) {
            parts = parts.iter().flat_map(|part| part.split(stand_in)).collect();
        }
        let in_order = |line: &str| {
            let mut rest = line;
            parts.iter().all(|part| {
                let found = rest.find(part);
                rest = found.map_or("", |at| &rest[at + part.len()..]);
                found.is_some()
            })
        };
        // JSON escapes quotes; the page does not.
        let texts = self.0.iter().map(|text| text.replace("\\\"", "\""));
        texts.into_iter().any(|text| text.lines().any(in_order))
    }
}

/// The first cells of the rows of the tables.
fn rows() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/troubleshoot.md");
    let page = fs::read_to_string(page).unwrap();
    let section = page.split("\n## Common issues\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .skip(1)
        .filter(|cell| !cell.contains("---"))
        .map(ToOwned::to_owned)
        .collect()
}

/// What stands in backticks.
fn messages(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn connect(host: &Host, wait: &str, more: &[&str]) -> Program {
    host.program(&[&["connect", "--json", "--wait", wait], more].concat())
}

async fn without_a_usable_token(said: &mut Said) {
    let host = Host::new();
    said.of(connect(&host, "0", &[])).await;
    for junk in [" ", "undefined"] {
        said.of(connect(&host, "0", &[]).env("OPENCLAW_GATEWAY_TOKEN", junk))
            .await;
    }
    let file = host.write("token", "a-token-of-a-gateway");
    said.of(connect(&host, "0", &[])
        .token("another-token-0123")
        .token_file(&file))
        .await;
    let public = ["--url", "ws://gateway.example.com:18789"];
    said.of(connect(&host, "0", &public).token("a-token-of-a-gateway"))
        .await;
}

const WRONG: &str = "a-token-of-another-gateway";

async fn with_the_wrong_one(said: &mut Said) {
    for edition in Edition::ALL {
        let host = Host::new();
        let password = |url: &str| {
            let program = connect(&host, "0", &[]).url(url);
            program.env("OPENCLAW_GATEWAY_PASSWORD", "wrong horse")
        };
        let builder = MockGateway::builder().edition(edition);
        let gateway = builder.password("correct horse").start().await;
        said.of(connect(&host, "0", &[]).url(&gateway.url()).token(WRONG))
            .await;
        said.of(password(&gateway.url())).await;
        let gateway = MockGateway::builder().edition(edition).start().await;
        said.of(connect(&host, "0", &[]).url(&gateway.url()).token(WRONG))
            .await;
        said.of(password(&gateway.url())).await;
        let unknown = ["devices", "approve", "no-such-request"];
        said.of(host.program(&unknown).local(&gateway)).await;
    }

    let gateway = MockGateway::start().await;
    // Ten failures within a minute lock an address out.
    for _ in 0..11 {
        let config = Config::builder()
            .url(gateway.url())
            .token(Token::new(WRONG).unwrap())
            .store(MemoryStore::new())
            .build()
            .unwrap();
        let client = Client::start(config);
        let mut state = client.state();
        let is_refused = |state: &ConnectionState| {
            matches!(
                state,
                ConnectionState::Stopped { .. } | ConnectionState::BackingOff { .. }
            )
        };
        let refused = tokio::time::timeout(PATIENCE, state.wait_for(is_refused)).await;
        drop(refused.unwrap().unwrap());
    }
    let stranger = Host::new();
    let locked_out = stranger.program(&["connect", "--json"]).remote(&gateway);
    said.up_to("backing_off", locked_out).await;
}

async fn waiting_for_approval(said: &mut Said) {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let waits = |more: &[&str]| {
        let arguments = [&["connect", "--json"], more].concat();
        host.program(&arguments).remote(&gateway)
    };
    said.up_to("awaiting_approval", waits(&[])).await;
    said.of(connect(&host, "0", &[]).remote(&gateway)).await;
    let id = gateway.pending().remove(0).request_id;
    gateway.approve(&id).unwrap();
    said.of(connect(&host, "0", &[]).remote(&gateway)).await;
    // An approved device has a token of its own.
    let stale = connect(&host, "0", &[]).url(&gateway.url());
    said.of(connect(&host, "0", &[]).remote(&gateway)).await;
    said.of(stale.token(WRONG)).await;
    let scopes = [
        "--scopes",
        "operator.read,operator.write,operator.approvals",
    ];
    said.up_to("awaiting_approval", waits(&scopes)).await;
    // The program has one role and one platform.
    let other = || {
        Config::builder()
            .url(gateway.url())
            .token(Token::new(gateway.token()).unwrap())
            .store(FileStore::new(host.state_dir()))
            .pairing(PairingPolicy::FailFast)
    };
    for config in [other().platform("another"), other().role("node")] {
        let refused = Client::connect(config.build().unwrap()).await.unwrap_err();
        said.0.push(format!("waiting for approval: {refused}"));
    }

    // The identity is taken away while an approval is waited for.
    let host = Host::new();
    let hold = ["connect", "--json", "--hold"];
    let mut running = host
        .program(&hold)
        .remote(&gateway)
        .env("RUST_LOG", "openclaw_adapter=info")
        .start();
    let waiting = running.state("awaiting_approval").await;
    fs::remove_dir_all(host.state_dir().join("identity")).unwrap();
    gateway
        .approve(waiting["requestId"].as_str().unwrap())
        .unwrap();
    running.state("ready").await;
    running.signal("TERM").await;
    said.take(&running.ended().await);
}

async fn on_the_way(said: &mut Said) {
    let host = Host::new();
    let gateway = MockGateway::start().await;
    let proxied = ["--header", "X-Forwarded-For: 203.0.113.9"];
    said.of(connect(&host, "0", &proxied).local(&gateway)).await;
    for status in [301, 302, 307, 308, 200, 404, 401, 403, 407] {
        gateway.inject(Fault::http(status).at(Point::Upgrade));
        said.of(connect(&host, "0", &[]).local(&gateway)).await;
    }
    gateway.inject(Fault::close(1002, "protocol mismatch").at(Point::Connect));
    said.of(connect(&host, "0", &[]).local(&gateway)).await;
    for kind in [
        RefusalKind::SignatureInvalid,
        RefusalKind::SignatureExpired,
        RefusalKind::OriginNotAllowed,
    ] {
        said.0.push(kind.as_str().to_owned());
    }

    gateway.inject(Fault::no_challenge().always());
    let config = Config::builder()
        .url(gateway.local_url())
        .token(Token::new(gateway.token()).unwrap())
        .store(MemoryStore::new())
        .connect_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let client = Client::start(config);
    let mut state = client.state();
    let told = state.wait_for(|state| match state {
        ConnectionState::BackingOff { cause, .. } => {
            said.0.push(cause.to_string());
            // On a busy machine there may be no time even for the connection.
            cause.to_string().contains("challenge")
        }
        _ => false,
    });
    let told = tokio::time::timeout(PATIENCE, told).await;
    drop(told.unwrap().unwrap());
    client.close().await;

    gateway.stop().await;
    said.of(connect(&host, "0", &[]).local(&gateway)).await;
    let away = host.program(&["connect", "--json"]).local(&gateway);
    said.up_to("backing_off", away).await;
    let starting = MockGateway::builder()
        .startup_delay(Duration::from_secs(600))
        .start()
        .await;
    let early = host.program(&["connect", "--json"]).local(&starting);
    said.up_to("backing_off", early).await;
}

/// What a TLS server shows, and what it asks for.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Plain,
    /// With the certificate of an authority.
    Authority,
    /// Asks for a certificate of the client.
    Asks,
}

/// The address of a TLS server, and the fingerprint of its certificate.
async fn tls_server(manner: Manner) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    if manner == Manner::Authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let digest = Sha256::digest(&certificate);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ServerConfig::builder();
    let builder = if manner == Manner::Asks {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        builder.with_client_cert_verifier(verifier.unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let tls = builder.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The program hangs up, which is what the test wants to hear of; or it is told to, and
            // then it reads why before the connection is reset.
            if let Err((_, mut stream)) = acceptor.accept(stream).into_fallible().await {
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    });
    (address, pairs.concat())
}

/// The address of something that reads a request and closes the connection.
async fn mute_server() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") && stream.read_buf(&mut read).await.unwrap() > 0 {}
        }
    });
    format!("ws://{address}")
}

async fn over_tls(said: &mut Said) {
    let host = Host::new();
    let program = |url: &str| {
        connect(&host, "0", &[])
            .url(url)
            .token("a-token-of-a-gateway")
    };
    let pinned = |url: &str, pin: &str| program(url).env("OPENCLAW_GATEWAY_TLS_FINGERPRINT", pin);
    let (plain, _) = tls_server(Manner::Plain).await;
    let wss = format!("wss://{plain}");
    said.of(program(&wss)).await;
    said.of(pinned(&wss, &"ab".repeat(32))).await;
    said.of(program(&format!("ws://{plain}"))).await;
    said.of(program(&mute_server().await)).await;
    let (authority, _) = tls_server(Manner::Authority).await;
    said.of(program(&format!("wss://{authority}"))).await;
    let (asks, fingerprint) = tls_server(Manner::Asks).await;
    said.of(pinned(&format!("wss://{asks}"), &fingerprint))
        .await;
    let gateway = MockGateway::start().await;
    let not_tls = gateway.local_url().replacen("ws://", "wss://", 1);
    said.of(pinned(&not_tls, &fingerprint)).await;
}

/// A directory and a file in it, with these modes.
fn keep(host: &Host, mode: u32, content: &str) {
    let mut dirs = fs::DirBuilder::new();
    dirs.mode(mode).create(host.state_dir()).unwrap();
    let dir = host.state_dir().join("identity");
    fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(dir.join("device.json")).unwrap();
    std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
}

async fn with_a_bad_state_directory(said: &mut Said) {
    let gateway = MockGateway::start().await;
    let (one, other) = (
        DeviceIdentity::generate(1).unwrap(),
        DeviceIdentity::generate(1).unwrap(),
    );
    let (one_id, other_id) = (one.id().to_string(), other.id().to_string());
    let mixed = one.to_json().replace(&one_id, &other_id);
    for (mode, content) in [(0o755, &**one.to_json()), (0o700, "{"), (0o700, &mixed)] {
        let host = Host::new();
        keep(&host, mode, content);
        said.of(connect(&host, "0", &[]).local(&gateway)).await;
    }
    // These need a file system, a user or a hanging process of their own: the words in the code.
    let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/error.rs");
    let code = fs::read_to_string(code).unwrap();
    for words in [
        "is on a read-only file system",
        "is not there",
        "would be on a read-only file system",
        "may not be used by this process",
        "may not be made by this process",
        "is locked by another process",
    ] {
        assert!(code.contains(&format!("{{at}} {words}\")")), "{words}");
        said.0.push(format!("/somewhere {words}"));
    }
}

#[tokio::test]
async fn every_message_on_the_page_of_common_issues_is_one_that_is_printed() {
    let mut said = Said::default();
    without_a_usable_token(&mut said).await;
    with_the_wrong_one(&mut said).await;
    waiting_for_approval(&mut said).await;
    on_the_way(&mut said).await;
    over_tls(&mut said).await;
    with_a_bad_state_directory(&mut said).await;
    let rows = rows();
    assert!(rows.len() > 35, "{} rows", rows.len());
    let mut stale = Vec::new();
    for row in &rows {
        let checked = messages(row).filter(|message| !SAID_BY_OTHERS.contains(message));
        stale.extend(checked.filter(|message| !said.has(message)));
    }
    assert!(
        stale.is_empty(),
        "nobody prints {stale:#?}, but:\n{}",
        said.0.join("\n---\n")
    );
}

#[test]
fn a_message_with_another_word_is_not_taken_for_the_same() {
    let said = Said(vec![
        "WARN: cannot connect to gw port 18789: Connection refused".to_owned(),
        "{\"message\":\"the gateway said \\\"no\\\"\"}".to_owned(),
    ]);
    assert!(said.has("cannot connect to HOST port PORT: …"));
    assert!(said.has("said \"no\""));
    assert!(!said.has("cannot connect to HOST at PORT: …"));
    assert!(!said.has("port PORT cannot connect"));
}
