use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

const NAME: &str = "gateway.example";

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::named("test authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server for `name`, whose certificate ends with the year before `end`.
    fn server(&self, name: &str, start: i32, end: i32) -> Server {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(start, 1, 1);
        params.not_after = date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Server {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }
}

struct Server {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Server {
    fn fingerprint(&self) -> TlsFingerprint {
        TlsFingerprint::of(&self.certificate)
    }

    fn config(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap()
    }
}

/// What came of a connection: for the client, and what the server read of it.
struct Outcome {
    client: io::Result<()>,
    server_read: Vec<u8>,
}

impl Outcome {
    fn refusal(&self) -> CertificateRefusal {
        // The server must not have got anything but the greeting.
        assert!(self.server_read.is_empty());
        let error = self
            .client
            .as_ref()
            .expect_err("the certificate was believed");
        CertificateRefusal::of(error).unwrap_or_else(|| panic!("another reason: {error}"))
    }
}

/// A client of `config` greets `server` as `NAME` and sends the word "secret".
async fn connect(client: Arc<ClientConfig>, server: ServerConfig) -> Outcome {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serve = async move {
        let mut read = Vec::new();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(server)).accept(far).await {
            let _ = stream.read_to_end(&mut read).await;
        }
        read
    };
    let dial = async move {
        let name = ServerName::try_from(NAME).unwrap();
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.write_all(b"secret").await?;
        stream.shutdown().await?;
        // Until the server has read it all.
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Ok(())
    };
    let (server_read, client) = tokio::join!(serve, dial);
    Outcome {
        client,
        server_read,
    }
}

async fn connect_any(client: Arc<ClientConfig>, server: &Server) -> Outcome {
    connect(client, server.config(rustls::ALL_VERSIONS)).await
}

fn trusting(authority: &Authority) -> Arc<ClientConfig> {
    client_config(None, Some(authority.pem().as_bytes())).unwrap()
}

#[tokio::test]
async fn a_certificate_of_an_additional_authority_is_believed() {
    let authority = Authority::new();
    let outcome = connect_any(trusting(&authority), &authority.server(NAME, 2020, 2090)).await;
    outcome.client.unwrap();
    assert_eq!(outcome.server_read, b"secret");
}

#[tokio::test]
async fn a_wrong_name_is_refused() {
    let authority = Authority::new();
    let server = authority.server("other.example", 2020, 2090);
    let outcome = connect_any(trusting(&authority), &server).await;
    assert_eq!(outcome.refusal(), CertificateRefusal::WrongName);
}

#[tokio::test]
async fn an_expired_certificate_and_one_of_the_future_are_refused() {
    let authority = Authority::new();
    let outcome = connect_any(trusting(&authority), &authority.server(NAME, 2010, 2015)).await;
    assert_eq!(outcome.refusal(), CertificateRefusal::Expired);
    let outcome = connect_any(trusting(&authority), &authority.server(NAME, 2080, 2090)).await;
    assert_eq!(outcome.refusal(), CertificateRefusal::NotYetValid);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let server = Authority::new().server(NAME, 2020, 2090);
    let outcome = connect_any(trusting(&Authority::named("another")), &server).await;
    assert_eq!(outcome.refusal(), CertificateRefusal::UnknownAuthority);
    // One that only has the name of a trusted one.
    let outcome = connect_any(trusting(&Authority::new()), &server).await;
    let CertificateRefusal::Other(why) = outcome.refusal() else {
        panic!("another reason");
    };
    assert!(why.contains("BadSignature"), "{why}");
}

#[tokio::test]
async fn the_certificate_of_an_authority_is_no_servers_until_it_is_pinned() {
    // As `openssl req -x509` makes one: CA:TRUE, with the server's name, signed by itself.
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let server = Server {
        certificate: certificate.der().clone(),
        key: key.serialize_der(),
    };
    for pem in [Authority::new().pem(), certificate.pem()] {
        let config = client_config(None, Some(pem.as_bytes())).unwrap();
        let refusal = connect_any(config, &server).await.refusal();
        assert_eq!(refusal, CertificateRefusal::AuthorityItself);
    }
    let pinned = client_config(Some(&server.fingerprint()), None).unwrap();
    connect_any(pinned, &server).await.client.unwrap();
}

#[tokio::test]
async fn the_pinned_certificate_is_believed_whatever_it_says() {
    let server = Authority::new().server("other.example", 2010, 2015);
    let config = client_config(Some(&server.fingerprint()), None).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let outcome = connect(Arc::clone(&config), server.config(&[version])).await;
        outcome.client.unwrap();
        assert_eq!(outcome.server_read, b"secret");
    }
}

#[tokio::test]
async fn another_certificate_than_the_pinned_is_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let pinned = authority.server(NAME, 2020, 2090);
    let other = authority.server(NAME, 2020, 2090);
    // A trusted authority does not help against a pin.
    let pem = authority.pem();
    let config = client_config(Some(&pinned.fingerprint()), Some(pem.as_bytes())).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let outcome = connect(Arc::clone(&config), other.config(&[version])).await;
        let found = other.fingerprint();
        assert_eq!(
            outcome.refusal(),
            CertificateRefusal::OtherFingerprint { found }
        );
    }
}

#[tokio::test]
async fn a_copied_certificate_without_its_key_is_refused_in_spite_of_the_pin() {
    #[derive(Debug)]
    struct Thief(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Thief {
        fn resolve(
            &self,
            _hello: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    let victim = Authority::new().server(NAME, 2020, 2090);
    let own_key = KeyPair::generate().unwrap().serialize_der();
    let own_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key));
    let signer = rustls::crypto::ring::sign::any_supported_type(&own_key).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(vec![victim.certificate.clone()], signer);
    let stolen = Arc::new(Thief(Arc::new(stolen)));
    let config = client_config(Some(&victim.fingerprint()), None).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&stolen) as _);
        let outcome = connect(Arc::clone(&config), server).await;
        outcome.client.unwrap_err();
        assert!(outcome.server_read.is_empty());
    }
}

#[tokio::test]
async fn a_server_without_tls_is_not_a_certificate_matter() {
    let config = trusting(&Authority::new());
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let error = TlsConnector::from(config)
        .connect(name, near)
        .await
        .unwrap_err();
    assert_eq!(CertificateRefusal::of(&error), None);
}

#[test]
fn additional_roots_that_are_none_are_an_error() {
    for pem in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = client_config(None, Some(pem.as_bytes())).unwrap_err();
        assert!(matches!(error, TlsError::ExtraRoots(_)), "{pem:?}: {error}");
    }
}

#[test]
fn every_refusal_says_what_to_do() {
    let found = TlsFingerprint([7; 32]);
    assert!(
        CertificateRefusal::OtherFingerprint { found }
            .to_string()
            .contains("07:07")
    );
    for refusal in [
        CertificateRefusal::OtherFingerprint { found },
        CertificateRefusal::UnknownAuthority,
        CertificateRefusal::WrongName,
        CertificateRefusal::Expired,
        CertificateRefusal::NotYetValid,
        CertificateRefusal::AuthorityItself,
        CertificateRefusal::Other("BadEncoding".to_owned()),
    ] {
        assert!(!refusal.fix().is_empty());
    }
}

#[test]
fn a_fingerprint_is_read_in_every_usual_form() {
    let expected = TlsFingerprint([0xab; 32]);
    let plain = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    for text in [
        plain.clone(),
        plain.to_uppercase(),
        colons.clone(),
        format!("sha256:{plain}"),
        format!("SHA-256: {colons}\n"),
        format!("sha256 Fingerprint={colons}"),
        vec!["ab"; 32].join(" "),
    ] {
        assert_eq!(TlsFingerprint::parse(&text).unwrap(), expected, "{text}");
    }
    assert_eq!(expected.to_string(), colons);
    assert_eq!(format!("{expected:?}"), format!("TlsFingerprint({colons})"));
}

#[test]
fn what_is_not_a_sha_256_is_refused() {
    for text in [
        "",
        "ab",
        &"ab".repeat(20),
        &"ab".repeat(33),
        &format!("{}a", "ab".repeat(31)),
        &format!("{}zz", "ab".repeat(31)),
        &format!("sha1:{}", "ab".repeat(32)),
    ] {
        assert!(
            matches!(TlsFingerprint::parse(text), Err(TlsError::Fingerprint)),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn every_fingerprint_is_read_again_as_it_is_shown(bytes: [u8; 32]) {
        let fingerprint = TlsFingerprint(bytes);
        prop_assert_eq!(TlsFingerprint::parse(&fingerprint.to_string()).unwrap(), fingerprint);
    }

    #[test]
    fn no_text_makes_the_fingerprint_reader_panic(text in "\\PC{0,90}") {
        let _ = TlsFingerprint::parse(&text);
    }
}
