//! `wss://` to the mock gateway behind a real TLS server: which certificates are believed, and that
//! nothing reaches the others.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::doctor::{self, Check, Issue, Status};
use openclaw_adapter::{
    Client, Config, ConfigBuilder, ConnectionState, Error, MemoryStore, Token, TransportErrorKind,
};
use openclaw_mock_gateway::{Locality, MockGateway};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = "canary-0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(120);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for `name` (an address too) that is valid to the end of `year`.
    fn certificate(&self, name: &str, year: i32) -> Certificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2010, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.0).unwrap().der().clone();
        Certificate {
            der,
            key: key.serialize_der(),
        }
    }
}

struct Certificate {
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Certificate {
    fn fingerprint(&self) -> String {
        let mut text = String::new();
        for byte in Sha256::digest(&self.der) {
            let colon = if text.is_empty() { "" } else { ":" };
            write!(text, "{colon}{byte:02X}").unwrap();
        }
        text
    }
}

/// A mock gateway behind TLS.
struct Bed {
    gateway: Arc<MockGateway>,
    address: SocketAddr,
}

impl Bed {
    async fn new(certificate: &Certificate, address: IpAddr) -> Self {
        let gateway = Arc::new(MockGateway::builder().token(TOKEN).build());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&gateway);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, gateway) = (acceptor.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        gateway.serve(stream, Locality::Local).await;
                    }
                });
            }
        });
        Self { gateway, address }
    }

    fn config(&self) -> ConfigBuilder {
        config(self.address)
    }

    async fn refused(&self, config: ConfigBuilder) -> String {
        let client = Client::start(config.build().unwrap());
        let said = tls_failure(&client).await;
        assert_eq!(self.gateway.connects(), 0, "something was sent");
        client.close().await;
        assert!(!said.contains(TOKEN));
        said
    }
}

fn config(address: SocketAddr) -> ConfigBuilder {
    Config::builder()
        .url(format!("wss://{address}"))
        .token(Token::new(TOKEN).unwrap())
        .store(MemoryStore::new())
}

/// What the client says of the first attempt, which has to fail for TLS.
async fn tls_failure(client: &Client) -> String {
    failure(client, TransportErrorKind::Tls).await
}

/// The same of one that has to fail for this.
async fn failure(client: &Client, kind: TransportErrorKind) -> String {
    let mut state = client.state();
    let found = state.wait_for(|state| !matches!(state, ConnectionState::Connecting { .. }));
    let found = tokio::time::timeout(PATIENCE, found)
        .await
        .expect("no outcome")
        .unwrap()
        .clone();
    let ConnectionState::BackingOff { cause, .. } = found else {
        panic!("{found:?}");
    };
    match &*cause {
        Error::Transport(error) if error.kind() == kind => cause.to_string(),
        other => panic!("another cause: {other}"),
    }
}

async fn connects(config: ConfigBuilder) {
    let client = Client::start(config.build().unwrap());
    tokio::time::timeout(PATIENCE, client.ready())
        .await
        .expect("never ready")
        .unwrap();
    client.close().await;
}

/// A file with the certificate of `authority`.
fn root_file(authority: &Authority) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.0.pem()).unwrap();
    file
}

#[tokio::test]
async fn a_gateway_of_a_private_authority_is_reached_with_its_root() {
    let authority = Authority::new("private");
    let bed = Bed::new(&authority.certificate("127.0.0.1", 2090), HERE).await;
    let root = root_file(&authority);
    connects(bed.config().root_certificates(root.path())).await;
    assert_eq!(bed.gateway.connects(), 1);
}

#[tokio::test]
async fn the_pinned_certificate_is_believed_though_expired_and_for_another_name() {
    let certificate = Authority::new("private").certificate("other.example", 2015);
    let bed = Bed::new(&certificate, HERE).await;
    let pin = certificate.fingerprint();
    connects(
        bed.config()
            .tls_fingerprint(pin.to_lowercase().replace(':', "")),
    )
    .await;
    connects(bed.config().tls_fingerprint(format!("sha256:{pin}"))).await;
}

#[tokio::test]
async fn a_wrong_pin_sends_nothing_and_names_the_certificate_it_met() {
    let authority = Authority::new("private");
    let certificate = authority.certificate("127.0.0.1", 2090);
    let bed = Bed::new(&certificate, HERE).await;
    let other = authority.certificate("127.0.0.1", 2090).fingerprint();
    let root = root_file(&authority);
    // That the certificate would be good without the pin makes no difference.
    let config = bed
        .config()
        .tls_fingerprint(other)
        .root_certificates(root.path());
    let said = bed.refused(config).await;
    assert!(said.contains(&certificate.fingerprint()), "{said}");
    assert!(said.contains("OPENCLAW_GATEWAY_TLS_FINGERPRINT"), "{said}");
}

#[tokio::test]
async fn wrong_names_old_certificates_and_unknown_authorities_get_nothing() {
    let authority = Authority::new("private");
    let stranger = Authority::new("stranger");
    let root = root_file(&authority);
    for (certificate, word) in [
        (
            authority.certificate("gateway.example", 2090),
            "another name",
        ),
        (authority.certificate("127.0.0.1", 2015), "expired"),
        (stranger.certificate("127.0.0.1", 2090), "does not trust"),
    ] {
        let bed = Bed::new(&certificate, HERE).await;
        let said = bed
            .refused(bed.config().root_certificates(root.path()))
            .await;
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn a_gateway_without_tls_gets_a_tls_greeting_and_never_plain_text() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let pin = "ab".repeat(32);
    let config = config(listener.local_addr().unwrap()).tls_fingerprint(pin);
    let client = Client::start(config.build().unwrap());
    // Twice: it must not try without TLS after a failure either.
    for _ in 0..2 {
        let accepted = tokio::time::timeout(PATIENCE, listener.accept())
            .await
            .expect("no attempt");
        let (mut stream, _) = accepted.unwrap();
        let mut greeting = vec![0; 4096];
        let length = stream.read(&mut greeting).await.unwrap();
        assert_eq!(greeting.first(), Some(&22), "not a TLS handshake record");
        let text = String::from_utf8_lossy(&greeting[..length]);
        assert!(!text.contains("HTTP") && !text.contains(TOKEN));
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
    }
    let said = tls_failure(&client).await;
    assert!(said.contains("write ws:// instead of wss://"), "{said}");
    client.close().await;
}

#[tokio::test]
async fn a_port_with_tls_that_is_dialled_without_is_named() {
    let certificate = Authority::new("private").certificate("127.0.0.1", 2090);
    let bed = Bed::new(&certificate, HERE).await;
    let url = format!("ws://{}", bed.address);
    let client = Client::start(bed.config().url(url).build().unwrap());
    let said = failure(&client, TransportErrorKind::Upgrade).await;
    assert!(said.contains("wss://"), "{said}");
    client.close().await;
}

#[tokio::test]
async fn an_ipv6_gateway_is_reached_by_its_address() {
    let local = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if TcpListener::bind((local, 0)).await.is_err() {
        println!("not tried: this system has no ::1");
        return;
    }
    let authority = Authority::new("private");
    let bed = Bed::new(&authority.certificate("::1", 2090), local).await;
    let root = root_file(&authority);
    connects(bed.config().root_certificates(root.path())).await;
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_with_a_certificate_and_shows_the_one_it_believes() {
    let authority = Authority::new("private");
    let certificate = authority.certificate("127.0.0.1", 2090);
    let bed = Bed::new(&certificate, HERE).await;
    let tls = async |config: &ConfigBuilder| {
        let report = doctor::examine(config, &doctor::Options::new()).await;
        report.finding(Check::Tls).unwrap().clone()
    };
    // The root is there so that a system without any has one.
    let stranger = root_file(&Authority::new("stranger"));
    let unknown = tls(&bed.config().root_certificates(stranger.path())).await;
    assert_eq!(unknown.issue, Some(Issue::Tls));
    assert!(
        unknown
            .fix
            .unwrap()
            .contains("Install the authority's certificate")
    );
    assert_eq!(bed.gateway.connects(), 0, "something was sent");

    let pinned = tls(&bed.config().tls_fingerprint(certificate.fingerprint())).await;
    assert_eq!(pinned.status, Status::Ok, "{pinned:?}");
    assert_eq!(pinned.data["fingerprint"], certificate.fingerprint());
    assert!(pinned.message.contains("pinned"), "{}", pinned.message);
}

#[tokio::test]
async fn the_doctor_tells_a_port_without_tls_and_a_port_with_it() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let config = config(listener.local_addr().unwrap()).tls_fingerprint("ab".repeat(32));
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        // As the HTTP server of both generations answers it.
        let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    let report = doctor::examine(&config, &doctor::Options::new()).await;
    plain.await.unwrap();
    assert_eq!(report.verdict.issue, Some(Issue::Tls));
    assert!(report.verdict.action.contains("ws:// instead of wss://"));

    let bed = Bed::new(
        &Authority::new("private").certificate("127.0.0.1", 2090),
        HERE,
    )
    .await;
    let config = bed.config().url(format!("ws://{}", bed.address));
    let report = doctor::examine(&config, &doctor::Options::new()).await;
    assert_eq!(report.verdict.issue, Some(Issue::NoGateway));
    assert!(report.verdict.action.contains("wss://"));
}

#[tokio::test]
async fn the_doctor_says_that_an_authoritys_own_certificate_has_to_be_pinned() {
    // As `openssl req -x509` makes one for a server.
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = Certificate {
        der: params.self_signed(&key).unwrap().der().clone(),
        key: key.serialize_der(),
    };
    let bed = Bed::new(&own, HERE).await;
    let root = root_file(&Authority::new("private"));
    let config = bed.config().root_certificates(root.path());
    let report = doctor::examine(&config, &doctor::Options::new()).await;
    let action = &report.verdict.action;
    assert!(
        action.starts_with("Pin it: set OPENCLAW_GATEWAY_TLS_FINGERPRINT"),
        "{action}"
    );
    let message = &report.finding(Check::Tls).unwrap().message;
    assert!(message.contains("authority's own"), "{message}");
    // What it says helps.
    connects(bed.config().tls_fingerprint(own.fingerprint())).await;
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_named() {
    let authority = Authority::new("private");
    let certificate = authority.certificate("127.0.0.1", 2090);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        );
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key.clone()));
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let refused = acceptor.accept(stream).into_fallible().await;
                let Err((_, mut stream)) = refused else {
                    panic!("a client without a certificate was let in");
                };
                // Until the client has heard why: a reset would overtake the alert.
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        let config = config(address).tls_fingerprint(certificate.fingerprint());
        let report = doctor::examine(&config, &doctor::Options::new()).await;
        let tls = report.finding(Check::Tls).unwrap();
        assert_eq!(report.verdict.issue, Some(Issue::Tls), "{tls:?}");
        assert!(tls.message.contains("client certificate"), "{tls:?}");
        let client = Client::start(config.build().unwrap());
        let said = tls_failure(&client).await;
        assert!(said.contains("client certificate"), "{said}");
        client.close().await;
        serving.abort();
    }
}
