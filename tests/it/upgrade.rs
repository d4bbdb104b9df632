//! Answers to the upgrade that are not an upgrade: proxies, web servers, full gateways.

use std::path::Path;
use std::process::Stdio;
use std::task::Poll;
use std::time::Duration;

use openclaw_adapter::{
    Client, Config, ConnectionState, Error, MemoryStore, StopReason, Token, UpgradeRefusal,
};
use openclaw_mock_gateway::MockGateway;
use openclaw_tests::scenarios::adapter_program;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "canary-0123456789abcdef";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn client(server: &MockServer) -> Client {
    let config = Config::builder()
        .url(server.uri().replacen("http", "ws", 1))
        .token(Token::new(TOKEN).unwrap())
        .store(MemoryStore::new())
        .header("X-Proxy-Key", "let-me-in")
        .build()
        .unwrap();
    Client::start(config)
}

/// A web server that answers the upgrade with this.
pub(crate) async fn answering(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("upgrade", "websocket"))
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

/// Waits for the first state that is neither the start nor an attempt.
async fn outcome(client: &Client) -> ConnectionState {
    let mut state = client.state();
    let found = state.wait_for(|state| !matches!(state, ConnectionState::Connecting { .. }));
    tokio::time::timeout(PATIENCE, found)
        .await
        .expect("no outcome in time")
        .expect("the client ended")
        .clone()
}

async fn stopped(template: ResponseTemplate) -> (UpgradeRefusal, String) {
    let server = answering(template).await;
    let client = client(&server);
    let ConnectionState::Stopped { reason, .. } = outcome(&client).await else {
        panic!("not stopped: {:?}", client.state().borrow());
    };
    assert_eq!(reason.kind(), "upgrade_refused");
    let fix = reason.fix();
    let StopReason::UpgradeRefused(refusal) = reason else {
        panic!("another reason: {reason:?}");
    };
    assert!(matches!(
        client.ready().await,
        Err(Error::UpgradeRefused(_))
    ));
    client.close().await;
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "a refusal that stays is asked once");
    (UpgradeRefusal::clone(&refusal), fix)
}

#[tokio::test]
async fn a_forbidden_proxy_attribution_names_the_setting_on_the_gateway() {
    let body = serde_json::json!({"error":{
        "message":"Proxy client attribution is required. Configure gateway.trustedProxies narrowly.",
        "type":"proxy_attribution_required"}});
    let (refusal, fix) = stopped(ResponseTemplate::new(403).set_body_json(body)).await;
    assert_eq!(refusal.status, 403);
    assert!(
        refusal
            .message
            .starts_with("Proxy client attribution is required")
    );
    assert!(fix.contains("gateway.trustedProxies"), "{fix}");
}

#[tokio::test]
async fn a_redirect_is_named_and_never_followed() {
    let other = answering(ResponseTemplate::new(200)).await;
    let to = format!("{}/login?ticket=secret", other.uri());
    let (refusal, fix) =
        stopped(ResponseTemplate::new(302).insert_header("location", to.as_str())).await;
    assert_eq!(refusal.location, Some(format!("{}/login", other.uri())));
    assert!(fix.contains("/login") && !fix.contains("secret"), "{fix}");
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_html_page_is_told_by_its_title() {
    let page = "<html><head><title>Sign in \u{1b}[31m</title></head><body>…</body></html>";
    let (refusal, fix) = stopped(ResponseTemplate::new(200).set_body_string(page)).await;
    assert_eq!(refusal.message, "Sign in \\u{1b}[31m");
    assert!(fix.contains("OPENCLAW_GATEWAY_URL"), "{fix}");
}

#[tokio::test]
async fn unauthorized_and_not_found_say_where_to_look() {
    let (_, fix) = stopped(ResponseTemplate::new(401)).await;
    assert!(fix.contains("extra header"), "{fix}");
    let (_, fix) = stopped(ResponseTemplate::new(404)).await;
    assert!(fix.contains("OPENCLAW_GATEWAY_URL"), "{fix}");
}

#[tokio::test]
async fn a_busy_proxy_is_asked_again_but_not_before_it_says() {
    for status in [429, 502, 503, 504] {
        let template = ResponseTemplate::new(status)
            .insert_header("retry-after", "7")
            .set_body_string("Too many unauthenticated sockets");
        let server = answering(template).await;
        let client = client(&server);
        let ConnectionState::BackingOff { delay, cause, .. } = outcome(&client).await else {
            panic!("{status}: {:?}", client.state().borrow());
        };
        assert!(delay >= Duration::from_secs(7), "{status}: {delay:?}");
        assert!(cause.to_string().contains(&status.to_string()), "{cause}");
        assert!(
            cause.to_string().contains("Too many unauthenticated"),
            "{cause}"
        );
        client.close().await;
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_reach_the_gateway_is_not_just_waited_for() {
    for (server, status, advice) in [
        ("Caddy", 502, "does not reach it"),
        ("Caddy", 504, "does not reach it"),
        ("awselb/2.0", 502, "Start the gateway"),
        ("nginx", 502, "proxy_pass"),
        ("nginx", 500, "logs"),
        ("Caddy", 500, "logs"),
        ("Caddy", 503, "Wait"),
        ("Caddy", 429, "Wait"),
    ] {
        let template = ResponseTemplate::new(status).insert_header("server", server);
        let gateway = answering(template).await;
        let client = client(&gateway);
        let ConnectionState::BackingOff { cause, .. } = outcome(&client).await else {
            panic!("{server} {status}: {:?}", client.state().borrow());
        };
        let Error::UpgradeRefused(refusal) = &*cause else {
            panic!("{server} {status}: {cause}");
        };
        let fix = refusal.fix();
        assert!(fix.contains(advice), "{server} {status}: {fix}");
        assert_eq!(fix.contains("Wait"), advice == "Wait", "{server} {status}");
        client.close().await;
    }
}

#[tokio::test]
async fn the_extra_header_arrives_and_no_origin_does() {
    let server = answering(ResponseTemplate::new(404)).await;
    let client = client(&server);
    outcome(&client).await;
    client.close().await;
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].headers.get("x-proxy-key").unwrap(), "let-me-in");
    assert!(!requests[0].headers.contains_key("origin"));
    let all = format!("{:?}", requests[0]);
    assert!(
        !all.contains(TOKEN),
        "the token is for the gateway, not for the upgrade"
    );
}

/// The program, whose environment names a proxy for everything.
fn program_behind(proxy: &TcpListener, url: &str, state: &Path) -> Command {
    let proxy = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = Command::new(adapter_program().unwrap());
    command
        .args(["connect", "--wait", "0", "--json"])
        .env_clear()
        .env("OPENCLAW_GATEWAY_URL", url)
        .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
        .env("OPENCLAW_ADAPTER_STATE_DIR", state.join("state"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for name in [
        "http_proxy",
        "https_proxy",
        "ws_proxy",
        "wss_proxy",
        "all_proxy",
    ] {
        command.env(name, &proxy).env(name.to_uppercase(), &proxy);
    }
    command
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked() {
    let gateway = MockGateway::builder().token(TOKEN).start().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let ended = program_behind(&proxy, &gateway.url(), state.path()).output();
    let ended = tokio::time::timeout(PATIENCE, ended)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        said.contains("pairing_not_approved") && !said.contains(TOKEN),
        "{said}"
    );

    let secured = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", secured.local_addr().unwrap());
    let mut program = program_behind(&proxy, &url, state.path());
    let mut child = program.stdout(Stdio::null()).spawn().unwrap();
    let accepted = tokio::time::timeout(PATIENCE, secured.accept());
    let (mut stream, _) = accepted.await.expect("the way is another").unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 22, "no greeting of TLS");
    drop(stream);
    child.wait().await.unwrap();
    // Nobody waits in front of it.
    let asked = std::future::poll_fn(|cx| Poll::Ready(proxy.poll_accept(cx).is_ready())).await;
    assert!(!asked, "the proxy was asked");
}
