//! `openclaw-adapter identity`, and a state directory that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use openclaw_mock_gateway::MockGateway;
use serde_json::Value;

use crate::host::Host;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A host whose backend has connected once.
async fn host_with_identity(gateway: &MockGateway) -> Host {
    let host = Host::new();
    let connected = host.program(&["connect", "--wait", "0"]).local(gateway);
    connected.run().await.ended_with(0);
    host
}

#[tokio::test]
async fn an_identity_is_made_at_the_first_connect_and_not_by_looking_for_it() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let before = host.program(&["identity", "show", "--json"]).run().await;
    before.ended_with(14);
    assert_eq!(before.last()["kind"], "identity");
    assert!(!host.state_dir().exists());

    host.program(&["connect", "--wait", "0"])
        .remote(&gateway)
        .run()
        .await
        .ended_with(10);
    let shown = host.program(&["identity", "show", "--json"]).run().await;
    shown.ended_with(0);
    assert_eq!(shown.last()["deviceId"], *gateway.pending()[0].device_id);

    let path = host.program(&["identity", "path"]).run().await;
    path.ended_with(0);
    let file = host.state_dir().join("identity/device.json");
    assert_eq!(path.text(), file.display().to_string());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&host.state_dir()), 0o700);
}

#[tokio::test]
async fn an_identity_can_be_made_beforehand_and_is_made_once() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let made = host.program(&["identity", "create", "--json"]).run().await;
    made.ended_with(0);
    let file = host.state_dir().join("identity/device.json");
    assert_eq!(mode(&file), 0o600);
    let again = host.program(&["identity", "create", "--json"]).run().await;
    again.ended_with(0);
    assert_eq!(again.last(), made.last());

    host.program(&["connect", "--wait", "0"])
        .remote(&gateway)
        .run()
        .await
        .ended_with(10);
    assert_eq!(made.last()["deviceId"], *gateway.pending()[0].device_id);

    // A damaged one is named and stays as it is.
    fs::write(&file, "{").unwrap();
    let refused = host.program(&["identity", "create", "--json"]).run().await;
    refused.ended_with(14);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{");
}

#[tokio::test]
async fn an_identity_is_carried_over_by_export_and_import() {
    let gateway = MockGateway::start().await;
    let old = host_with_identity(&gateway).await;
    let exported = old.program(&["identity", "export"]).run().await;
    exported.ended_with(0);
    let identity: Value = serde_json::from_str(&exported.text()).unwrap();
    assert_eq!(identity["version"], 1);

    let new = Host::new();
    let file = new.write("device.json", &exported.text());
    let imported = new
        .program(&["identity", "import", "device.json", "--json"])
        .run()
        .await;
    imported.ended_with(0);
    assert_eq!(imported.last()["deviceId"], identity["deviceId"]);
    assert_eq!(mode(&new.state_dir().join("identity/device.json")), 0o600);

    let from_stdin = Host::new();
    let imported = from_stdin
        .program(&["identity", "import", "-", "--json"])
        .stdin(&file)
        .run()
        .await;
    imported.ended_with(0);
    assert_eq!(imported.last()["deviceId"], identity["deviceId"]);
}

#[tokio::test]
async fn an_import_never_replaces_another_identity() {
    let gateway = MockGateway::start().await;
    let (one, other) = (
        host_with_identity(&gateway).await,
        host_with_identity(&gateway).await,
    );
    let exported = other.program(&["identity", "export"]).run().await;
    one.write("other.json", &exported.text());
    let file = one.state_dir().join("identity/device.json");
    let before = fs::read(&file).unwrap();
    let refused = one
        .program(&["identity", "import", "other.json", "--json"])
        .run()
        .await;
    refused.ended_with(14);
    assert_eq!(refused.last()["kind"], "identity");
    refused.says(&["mv "]);
    assert_eq!(fs::read(&file).unwrap(), before);

    // Its own is no other.
    let own = one.program(&["identity", "export"]).run().await;
    one.write("own.json", &own.text());
    one.program(&["identity", "import", "own.json"])
        .run()
        .await
        .ended_with(0);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_identity_is_refused_and_not_shown() {
    let host = Host::new();
    host.write("key.json", "{\"version\":1,\"privateKeyPem\":\"c4n4ry\"}");
    let refused = host
        .program(&["identity", "import", "key.json", "--json"])
        .run()
        .await;
    refused.ended_with(14);
    refused.hides("c4n4ry");
    assert!(!host.state_dir().join("identity/device.json").exists());
    host.program(&["identity", "import", "absent.json"])
        .run()
        .await
        .ended_with(2);
}

#[tokio::test]
async fn a_directory_that_others_can_read_ends_with_14_and_the_command_that_mends_it() {
    let gateway = MockGateway::start().await;
    for (name, loose) in [
        ("", 0o755),
        ("identity", 0o750),
        ("identity/device.json", 0o644),
    ] {
        let host = host_with_identity(&gateway).await;
        let path = host.state_dir().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
        let dialled = gateway.connects();
        let ended = host
            .program(&["connect", "--json", "--wait", "0"])
            .local(&gateway)
            .run()
            .await;
        ended.ended_with(14);
        assert_eq!(gateway.connects(), dialled, "nothing was dialled");
        let stopped = ended.last();
        assert_eq!(stopped["kind"], "identity");
        let fix = stopped["fix"].as_str().unwrap();
        assert!(fix.starts_with("chmod "), "{fix}");
        // The command is to be typed as it is.
        let mended = std::process::Command::new("sh").args(["-c", fix]).status();
        assert!(mended.unwrap().success());
        host.program(&["connect", "--wait", "0"])
            .local(&gateway)
            .run()
            .await
            .ended_with(0);
    }
}

#[tokio::test]
async fn a_damaged_identity_ends_with_14_and_stays_as_it_is() {
    let gateway = MockGateway::start().await;
    let host = host_with_identity(&gateway).await;
    let file = host.state_dir().join("identity/device.json");
    fs::write(&file, "{\"version\":1").unwrap();
    let ended = host
        .program(&["connect", "--json", "--wait", "0"])
        .local(&gateway)
        .run()
        .await;
    ended.ended_with(14);
    ended.says(&[file.to_str().unwrap(), "backup"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"version\":1");
}
