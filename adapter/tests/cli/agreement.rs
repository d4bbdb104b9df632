//! `doctor` ends with the code that `connect --wait 0` ends with, before and after there is an identity.

use openclaw_mock_gateway::{Fault, MockGateway, Point};

use crate::host::Host;

/// What a doctor and a `connect` on one host end with.
async fn both(name: &str, url: &str, token: &str, expected: i32) {
    let host = Host::new();
    let run = |arguments: &'static [&'static str]| {
        let program = host.program(arguments).url(url).token(token);
        program.run()
    };
    let doctor = ["doctor", "--json"].as_slice();
    for (step, arguments) in [doctor, &["connect", "--wait", "0", "--json"], doctor]
        .into_iter()
        .enumerate()
    {
        let ended = run(arguments).await;
        assert_eq!(
            ended.code,
            Some(expected),
            "{name}, step {step}: {}",
            ended.text()
        );
    }
}

#[tokio::test]
async fn doctor_and_connect_agree_on_what_is_answered_to_the_upgrade() {
    let cloudflare = [("server", "cloudflare"), ("cf-ray", "8f0c0ffee0000000-FRA")];
    let challenge = [("cf-mitigated", "challenge"), ("server", "cloudflare")];
    let nginx = [("server", "nginx/1.29.3")];
    for (status, headers, body, expected) in [
        (429, cloudflare.as_slice(), "error code: 1015", 13),
        (502, &cloudflare, "error code: 502", 13),
        (521, &cloudflare, "error code: 521", 13),
        (530, &cloudflare, "error code: 1033", 13),
        (403, &cloudflare, "error code: 1020", 12),
        (403, &challenge, "<title>Just a moment...</title>", 12),
        (502, &nginx, "<title>502 Bad Gateway</title>", 13),
        (404, &nginx, "<title>404 Not Found</title>", 12),
        (503, &[], "Too many unauthenticated sockets", 13),
        (401, &[], "", 12),
    ] {
        let gateway = MockGateway::start().await;
        gateway.inject(Fault::http_with(status, headers, body).always());
        let name = format!("{status} {body}");
        both(&name, &gateway.local_url(), &gateway.token(), expected).await;
    }
}

#[tokio::test]
async fn doctor_and_connect_agree_on_connections_that_end_early() {
    for (fault, expected) in [
        (Fault::drop_connection().at(Point::Challenge), 13),
        (Fault::drop_connection().at(Point::Connect), 13),
        (Fault::close(1011, "internal error").at(Point::Connect), 13),
        (Fault::close(1012, "service restart").at(Point::Connect), 13),
    ] {
        let gateway = MockGateway::start().await;
        let name = format!("{fault:?}");
        gateway.inject(fault.always());
        both(&name, &gateway.local_url(), &gateway.token(), expected).await;
    }
}

#[tokio::test]
async fn doctor_and_connect_agree_on_tokens_approvals_and_addresses() {
    let gateway = MockGateway::start().await;
    let (url, token) = (gateway.url(), gateway.token());
    both("not approved", &url, &token, 10).await;
    both("wrong token", &url, "a-token-of-another-gateway", 11).await;
    both("bad address", "http://gateway", &token, 2).await;
    both("all well", &gateway.local_url(), &token, 0).await;
    gateway.stop().await;
    both("stopped", &url, &token, 13).await;
}
