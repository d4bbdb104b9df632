use proptest::prelude::*;

use super::*;

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> EndpointError {
    Endpoint::parse(text).expect_err(text)
}

#[test]
fn the_default_address_is_a_loopback_gateway() {
    let default = endpoint(Endpoint::DEFAULT_URL);
    assert_eq!((default.host(), default.port()), ("127.0.0.1", 18789));
    assert_eq!(default.address_class(), AddressClass::Loopback);
}

#[test]
fn without_a_port_the_scheme_decides() {
    assert_eq!(endpoint("ws://gateway").port(), 80);
    assert_eq!(endpoint("wss://gateway").port(), 443);
    assert_eq!(endpoint("wss://gateway:443/").uri(), "wss://gateway/");
    assert_eq!(endpoint("ws://gateway:443/").uri(), "ws://gateway:443/");
}

#[test]
fn the_key_is_the_same_for_every_spelling_of_one_gateway() {
    let key = endpoint("wss://gateway.example/").key();
    assert_eq!(key.as_str(), "wss://gateway.example:443");
    for spelling in [
        "WSS://Gateway.Example",
        "wss://GATEWAY.example:443/?token=x",
        " wss://gateway.example ",
    ] {
        assert_eq!(endpoint(spelling).key(), key, "{spelling}");
    }
    assert_eq!(
        endpoint("ws://[0:0::1]:18789").key().as_str(),
        "ws://[::1]:18789"
    );
}

#[test]
fn gateways_behind_different_paths_have_different_keys() {
    assert_eq!(
        endpoint("wss://h/team/A/").key().as_str(),
        "wss://h:443/team/A"
    );
    assert_ne!(
        endpoint("wss://h/team/A").key(),
        endpoint("wss://h/team/a").key()
    );
}

#[test]
fn the_query_reaches_the_request_and_nothing_else() {
    let endpoint = endpoint("wss://h/p?secret=canary");
    assert_eq!(endpoint.uri().query(), Some("secret=canary"));
    assert_eq!(endpoint.uri().path(), "/p");
    let shown = format!("{endpoint} {endpoint:?} {}", endpoint.key());
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_query_without_a_path_gets_one() {
    assert_eq!(endpoint("ws://h?x=1").uri(), "ws://h/?x=1");
}

#[test]
fn an_http_address_is_refused_with_the_address_to_write() {
    let instead = |text: &str| match refusal(text) {
        EndpointError::HttpScheme { instead } => instead,
        other => panic!("{other:?}"),
    };
    assert_eq!(instead("http://127.0.0.1:18789/"), "ws://127.0.0.1:18789");
    assert_eq!(
        instead("HTTPS://gateway/x?secret=canary"),
        "wss://gateway:443/x"
    );
    assert_eq!(instead("http://user:canary@gateway"), "ws://");
}

#[test]
fn user_info_is_refused_and_never_repeated() {
    for text in [
        "ws://canary@h",
        "wss://u:canary@h:1/p",
        "ws://canary%40@h",
        "ws://@h",
    ] {
        let error = refusal(text);
        assert_eq!(error, EndpointError::UserInfo, "{text}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    assert!(Endpoint::parse("ws://h/p@q").is_ok());
}

#[test]
fn an_address_that_is_not_one_is_refused_with_the_reason() {
    let cases = [
        (" ", EndpointError::Empty),
        ("127.0.0.1:18789", EndpointError::NoScheme),
        ("gateway", EndpointError::NoScheme),
        ("unix:///run/x.sock", EndpointError::OtherScheme),
        ("ftp://h", EndpointError::OtherScheme),
        ("ws+unix://h", EndpointError::OtherScheme),
        ("://h", EndpointError::OtherScheme),
        ("ws://", EndpointError::NoHost),
        ("ws:///path", EndpointError::NoHost),
        ("ws://:18789", EndpointError::NoHost),
        ("ws://?x", EndpointError::NoHost),
        ("ws://h#f", EndpointError::Fragment),
        ("ws://h/p#", EndpointError::Fragment),
        ("ws://h:0", EndpointError::Port),
        ("ws://h:", EndpointError::Port),
        ("ws://h:65536", EndpointError::Port),
        ("ws://h:+80", EndpointError::Port),
        ("ws://h:8x", EndpointError::Port),
        ("ws://::1", EndpointError::Ipv6WithoutBrackets),
        ("ws://[::1", EndpointError::Ipv6WithoutBrackets),
        ("ws://[::1]x", EndpointError::Host),
        ("ws://[127.0.0.1]", EndpointError::Host),
        ("ws://[fe80::1%25eth0]:1", EndpointError::Ipv6Zone),
        ("ws://0.0.0.0:18789", EndpointError::Unspecified),
        ("ws://[::]:18789", EndpointError::Unspecified),
        ("ws://[::ffff:0.0.0.0]", EndpointError::Unspecified),
        ("ws://a..b", EndpointError::Host),
        ("ws://.local", EndpointError::Host),
        ("ws://.", EndpointError::Host),
        ("ws://a b", EndpointError::Host),
        ("ws://a\\b", EndpointError::Host),
        ("ws://a%41", EndpointError::Host),
        ("ws://büro", EndpointError::Host),
        ("ws://h/a b", EndpointError::Path),
        ("ws://h/a\nb", EndpointError::Path),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected, "{text:?}");
    }
}

#[test]
fn a_number_that_a_resolver_would_read_as_an_address_is_refused() {
    // 134744072 and 0x08080808 are 8.8.8.8: as single labels they would pass for local names.
    for host in [
        "134744072",
        "0x08080808",
        "010.8.8.8",
        "127.1",
        "8.8.2056",
        "1.2.3.4.",
        "256.1.1.1",
        "a.b.0x7f",
        "1.2.3.4.5",
        "0x",
    ] {
        assert_eq!(
            refusal(&format!("ws://{host}:18789")),
            EndpointError::NumericHost,
            "{host}"
        );
    }
    assert_eq!(
        endpoint("ws://10-0-0-1").address_class(),
        AddressClass::LocalName
    );
    assert_eq!(
        endpoint("ws://1.2.3.4.example").address_class(),
        AddressClass::Public
    );
}

#[test]
fn every_address_has_its_class() {
    use AddressClass::{Cgnat, LinkLocal, LocalName, Loopback, Private, Public};
    let cases = [
        ("localhost", Loopback),
        ("LOCALHOST.", Loopback),
        ("127.0.0.1", Loopback),
        ("127.255.0.9", Loopback),
        ("[::1]", Loopback),
        ("[::ffff:127.0.0.1]", Loopback),
        ("10.1.2.3", Private),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.168.1.1", Private),
        ("[fc00::1]", Private),
        ("[fdff::1]", Private),
        ("[::ffff:10.0.0.1]", Private),
        ("169.254.1.1", LinkLocal),
        ("[fe80::1]", LinkLocal),
        ("[febf::1]", LinkLocal),
        ("100.64.0.1", Cgnat),
        ("100.127.255.255", Cgnat),
        ("gateway", LocalName),
        ("openclaw_gateway", LocalName),
        ("mac.local", LocalName),
        ("openclaw.default.svc.cluster.local", LocalName),
        ("host.tailnet.ts.net", LocalName),
        ("host.tailnet.ts.net.", LocalName),
        ("100.63.255.255", Public),
        ("100.128.0.1", Public),
        ("172.15.0.1", Public),
        ("172.32.0.1", Public),
        ("192.169.0.1", Public),
        ("169.253.0.1", Public),
        ("8.8.8.8", Public),
        ("255.255.255.255", Public),
        ("[2001:db8::1]", Public),
        ("[fec0::1]", Public),
        ("[fe00::1]", Public),
        ("[::ffff:8.8.8.8]", Public),
        ("[::127.0.0.1]", Public),
        ("[64:ff9b::7f00:1]", Public),
        ("example.com", Public),
        ("ai.", Public),
        ("local.example.com", Public),
        ("notlocal.", Public),
        ("evil-ts.net", Public),
        ("ts.net", Public),
        ("mac.local.example", Public),
        ("localhost.example.com", Public),
    ];
    for (host, class) in cases {
        assert_eq!(
            endpoint(&format!("ws://{host}:18789")).address_class(),
            class,
            "{host}"
        );
    }
}

#[test]
fn plain_is_refused_to_public_addresses_only() {
    for text in [
        "ws://10.0.0.1",
        "ws://gateway",
        "ws://localhost",
        "wss://example.com",
    ] {
        assert_eq!(endpoint(text).check_plaintext(false), Ok(()), "{text}");
    }
    let public = endpoint("ws://gateway.example.com?secret=canary");
    let error = public.check_plaintext(false).unwrap_err();
    assert_eq!(
        error,
        EndpointError::PlainToPublic {
            host: "gateway.example.com".into()
        }
    );
    assert!(
        error
            .to_string()
            .contains("OPENCLAW_ALLOW_INSECURE_PRIVATE_WS")
    );
    assert_eq!(public.check_plaintext(true), Ok(()));
}

#[test]
fn a_device_token_goes_only_where_nobody_can_listen() {
    assert!(endpoint("ws://10.0.0.1").is_trusted_for_device_token(false));
    assert!(endpoint("wss://10.0.0.1").is_trusted_for_device_token(false));
    assert!(endpoint("wss://example.com").is_trusted_for_device_token(true));
    assert!(!endpoint("wss://example.com").is_trusted_for_device_token(false));
    assert!(!endpoint("ws://example.com").is_trusted_for_device_token(true));
}

#[test]
fn the_host_is_ready_for_a_dialler() {
    assert_eq!(endpoint("wss://[2001:DB8:0::1]/").host(), "2001:db8::1");
    assert_eq!(
        endpoint("wss://[2001:DB8:0::1]/").uri(),
        "wss://[2001:db8::1]/"
    );
    assert_eq!(endpoint("wss://Example.COM").host(), "example.com");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(wss?://)?[\\PC\\n]{0,60}") {
        let _ = Endpoint::parse(&text);
    }

    #[test]
    fn what_was_parsed_parses_again_to_the_same(
        text in "wss?://([a-z0-9.-]{1,12}|\\[[0-9a-f:.]{2,12}\\]|([0-9]{1,3}\\.){3}[0-9]{1,3})(:[0-9]{1,5})?(/[a-zA-Z0-9/]{0,9})?"
    ) {
        if let Ok(first) = Endpoint::parse(&text) {
            let again = endpoint(&first.to_string());
            prop_assert_eq!(again.key(), first.key());
            prop_assert_eq!(again.address_class(), first.address_class());
            prop_assert_eq!((again.host(), again.port()), (first.host(), first.port()));
        }
    }

    #[test]
    fn a_secret_in_the_address_never_shows(
        user in prop::bool::ANY,
        scheme in "(ws|wss|http|https|ftp)",
        host in "[a-z.:0-9\\[\\]]{0,10}",
    ) {
        let text = if user {
            format!("{scheme}://canary:canary@{host}/")
        } else {
            format!("{scheme}://{host}/?token=canary")
        };
        let shown = match Endpoint::parse(&text) {
            Ok(endpoint) => format!("{endpoint} {endpoint:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains("canary"), "{}", shown);
    }
}
