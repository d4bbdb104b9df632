//! What is wrong before anything is dialled.

use openclaw_mock_gateway::MockGateway;

use crate::host::Host;

#[tokio::test]
async fn arguments_that_do_not_exist_end_with_2() {
    let host = Host::new();
    for arguments in [
        &[][..],
        &["conect"],
        &["connect", "--wait", "soon"],
        &["connect", "--header", "no colon"],
        &["devices"],
        &["devices", "approve"],
        &["identity", "import"],
        // A token in the process table would be everybody's.
        &["connect", "--token", "c4n4ry"],
        &["connect", "--password", "c4n4ry"],
    ] {
        let ended = host.program(arguments).run().await;
        ended.ended_with(2);
        assert!(ended.stdout.is_empty(), "{arguments:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
    assert!(!host.state_dir().exists());
}

#[tokio::test]
async fn help_and_version_end_with_0_and_the_help_lists_the_exit_codes() {
    let host = Host::new();
    let help = host.program(&["--help"]).run().await;
    help.ended_with(0);
    for code in ["0", "2", "10", "11", "12", "13", "14", "15", "16"] {
        assert!(
            help.stdout
                .iter()
                .any(|line| line.trim_start().starts_with(&format!("{code}  "))),
            "{code}"
        );
    }
    assert!(!help.text().contains('\u{1b}'));
    let version = host.program(&["--version"]).run().await;
    version.ended_with(0);
    assert_eq!(
        version.text(),
        format!("openclaw-adapter {}", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn without_a_token_it_ends_with_2_and_names_the_variable_before_it_dials() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let ended = host
        .program(&["connect", "--json"])
        .url(&gateway.url())
        .run()
        .await;
    ended.ended_with(2);
    assert_eq!(ended.states(), ["stopped"]);
    assert_eq!(ended.fields("stopped"), ["state", "kind", "message", "fix"]);
    assert_eq!(ended.last()["kind"], "config");
    ended.says(&["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN_FILE"]);
    assert_eq!(gateway.connects(), 0);
}

#[tokio::test]
async fn tokens_that_cannot_be_one_end_with_2() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    for junk in ["undefined", "null", "__OPENCLAW_REDACTED__", "   "] {
        let ended = host
            .program(&["connect", "--json"])
            .url(&gateway.url())
            .env("OPENCLAW_GATEWAY_TOKEN", junk)
            .run()
            .await;
        ended.ended_with(2);
        ended.says(&["OPENCLAW_GATEWAY_TOKEN"]);
    }
    let absent = host.path("no-such-file");
    let ended = host
        .program(&["connect", "--json"])
        .url(&gateway.url())
        .token_file(&absent)
        .run()
        .await;
    ended.ended_with(2);
    ended.says(&[absent.to_str().unwrap()]);
    assert_eq!(gateway.connects(), 0);
}

#[tokio::test]
async fn an_address_that_would_show_the_token_to_everybody_ends_with_2() {
    let host = Host::new();
    for (url, word) in [
        (
            "ws://gateway.example.com:18789",
            "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS",
        ),
        ("http://127.0.0.1:18789", "ws://"),
        ("127.0.0.1:18789", "ws://"),
    ] {
        let ended = host
            .program(&["connect", "--json", "--url", url])
            .token("some-token-0123456789")
            .run()
            .await;
        ended.ended_with(2);
        ended.says(&[word]);
    }
}

#[tokio::test]
async fn the_address_of_the_command_line_goes_before_the_environment() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    host.program(&["connect", "--wait", "0", "--url", &gateway.local_url()])
        .remote(&gateway)
        .run()
        .await
        .ended_with(0);
}
