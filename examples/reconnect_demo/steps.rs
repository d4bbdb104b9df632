//! The steps of the demo, in the order in which a backend meets them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use openclaw_adapter::{Hello, RefusalKind, StopReason, Token};
use openclaw_mock_gateway::{Direction, Edition};
use serde_json::json;

use crate::backend::Backend;
use crate::operator::short;
use crate::stage::Stage;

/// A new backend has the right token, and is refused: the gateway does not know its device yet.
pub(crate) async fn first_start(stage: &Stage<'_>) -> anyhow::Result<Backend> {
    stage.explain(
        "A backend needs two things to connect: the gateway's token, which is in openclaw.json, and a \
         person's approval of its device. It has the token. The device is a key pair that it makes \
         now, at its first start.",
    );
    let backend = stage.start_backend(
        "OPENCLAW_GATEWAY_TOKEN=<gateway.auth.token of openclaw.json> docker compose up -d backend",
    )?;
    let request = backend.awaits_approval().await?;
    stage.log();

    stage.explain(
        "The gateway said NOT_PAIRED and closed with 1008 `pairing required`. That is not an \
         error: the backend keeps its key and asks again every two seconds.",
    );
    let refused = stage.gateway.frames().iter().any(|frame| {
        frame.direction == Direction::Out && frame.json["error"]["code"] == "NOT_PAIRED"
    });
    stage.fact("the gateway answered NOT_PAIRED", refused)?;
    let identity = stage.backend_dir().join("identity/device.json");
    stage.fact(
        "the device's key is in identity/device.json of the state directory, mode 0600",
        mode(&identity)? == 0o600,
    )?;
    let pending = stage.gateway.pending();
    stage.fact(
        "one request is pending, with the id that the backend logged",
        pending.len() == 1 && request.request_id.as_deref() == Some(&*pending[0].request_id),
    )?;
    stage.fact(
        "the request is for this device, with the name `backend-adapter`",
        pending[0].device_id == request.device_id.as_str()
            && pending[0].display_name.as_deref() == Some("backend-adapter"),
    )?;
    Ok(backend)
}

/// The one action that needs a person.
pub(crate) async fn approval(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    stage.operator().list();
    approve_request_of(stage, backend).await?;
    let hello = backend.client().ready().await?;
    stage.explain("The backend was not restarted: its next attempt succeeded.");
    stage.fact(
        &format!(
            "connected: protocol {}, scopes {}",
            hello.protocol,
            hello.scopes.join(" ")
        ),
        hello.protocol == stage.gateway.edition().protocol(),
    )?;
    let health = backend.client().call_raw("health", json!({})).await;
    stage.fact(
        "a call (`health`) is answered",
        health.context("call `health`")?.is_object(),
    )?;
    let tokens = stage.backend_dir().join("identity/tokens.json");
    stage.fact(
        "the device's own token is stored in identity/tokens.json, mode 0600",
        mode(&tokens)? == 0o600,
    )
}

/// A new process with the same state directory is the same device.
pub(crate) async fn backend_restart(
    stage: &Stage<'_>,
    backend: Backend,
) -> anyhow::Result<Backend> {
    let device = only_device(stage)?;
    backend.stop().await;
    let backend = stage.start_backend("docker restart backend")?;
    backend.client().ready().await?;
    stage.explain(
        "The key is on the volume, so it is the same device, and the approval is still valid.",
    );
    stage.connections("connected again", 1).await?;
    stage.fact(
        "nobody was asked to approve",
        nobody_was_asked(stage, &backend),
    )?;
    stage.fact(
        &format!("it is the same device, {}", short(&device)),
        only_device(stage)? == device,
    )?;
    Ok(backend)
}

/// The client reconnects by itself.
pub(crate) async fn gateway_restart(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    let before = hello_of(backend)?;
    stage.operator().restart().await?;
    backend.ready_after(&before).await?;
    stage.log();
    stage.explain(
        "The gateway announced the restart and closed with 1012. The same client in the same process \
         has connected again; a call in progress would have reported if it was sent.",
    );
    stage
        .connections("connected again, with a new connection", 1)
        .await?;
    stage.fact(
        "nobody was asked to approve",
        nobody_was_asked(stage, backend),
    )
}

/// The most frequent cause of "token mismatch": editing the configuration alone changes nothing.
pub(crate) async fn token_edited(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    const NEW: &str = "the-demo-token-after-the-edit";

    let before = hello_of(backend)?;
    stage.explain(
        "A gateway holds its token in memory. Some watch openclaw.json and apply an edit; \
         this one does not, and keeps the token that it read when it started.",
    );
    stage.operator().edit_token(NEW)?;
    stage.fact(
        "openclaw.json has another token than the running gateway",
        stage.gateway.token_on_disk() == NEW && stage.gateway.token() == stage.token(),
    )?;

    stage.narrator().types(
        "operator",
        "OPENCLAW_GATEWAY_TOKEN=<the new token> docker compose up -d another-backend",
    );
    let newcomer = Backend::start(&stage.gateway.url(), NEW, &stage.newcomer_dir())?;
    let reason = newcomer.stopped().await?;
    newcomer.stop().await;
    stage.log();
    stage.explain(
        "Another backend, which has the token of the file, is refused. It stops at once instead of \
         trying again: 2026.9.6 locks an address out for five minutes after ten failures.",
    );
    stage.fact(
        "the other backend has stopped: token_mismatch",
        matches!(&reason, StopReason::Refused(refusal) if refusal.kind == RefusalKind::TokenMismatch),
    )?;
    stage.fact(
        "its fix says that an edited openclaw.json needs a restart of the gateway",
        reason.fix().contains("restart the gateway"),
    )?;
    connection_stays(stage, backend, &before).await
}

/// Now the token in the backend's environment is the wrong one.
pub(crate) async fn token_taken(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    let before = hello_of(backend)?;
    stage.operator().restart().await?;
    let hello = backend.ready_after(&before).await?;
    let log = stage.log();
    stage.explain(
        "Now the gateway has the new token and the backend the old one. An approved device has a \
         token of its own, so the backend connects with that, and warns that its variable is stale.",
    );
    stage.fact(
        "the gateway expects another token than the backend has",
        stage.gateway.token() != stage.token(),
    )?;
    let way = way_in(stage, &hello, "device-token")?;
    stage
        .connections(&format!("connected nevertheless, {way}"), 1)
        .await?;
    stage.fact(
        "the backend warned once that its token is stale",
        warnings(&log) == 1,
    )?;
    stage.fact(
        "nobody was asked to approve",
        nobody_was_asked(stage, backend),
    )
}

/// A new token needs no restart of the backend.
pub(crate) async fn token_given(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    let token = stage.gateway.token();
    let before = hello_of(backend)?;
    stage.explain(
        "Setting the variable and restarting the backend is enough. A running one accepts another \
         token too: Client::set_token, or a file named by OPENCLAW_GATEWAY_TOKEN_FILE, which is \
         read again when the gateway refuses the token.",
    );
    stage.narrator().says("backend", "client.set_token(token)");
    backend.client().set_token(Token::new(token.clone())?);
    stage.set_token(token);
    stage.operator().restart().await?;
    let hello = backend.ready_after(&before).await?;
    let log = stage.log();
    let way = way_in(stage, &hello, "token")?;
    stage
        .connections(&format!("connected after one more restart, {way}"), 1)
        .await?;
    stage.fact("without a warning about the token", warnings(&log) == 0)
}

/// Removing a device ends its approval, and its connection where the gateway supports that.
pub(crate) async fn device_removed(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    let device = only_device(stage)?;
    let before = hello_of(backend)?;
    stage.operator().remove(&device)?;
    if stage.gateway.edition() == Edition::V2026_2_9 {
        stage.explain(
            "2026.2.9 has no command to remove a device, and keeps the existing connection: the edit \
             takes effect at the next login.",
        );
        connection_stays(stage, backend, &before).await?;
        stage.operator().restart().await?;
    }
    let request = backend.awaits_approval().await?;
    stage.log();
    stage.explain("The backend is disconnected, and waits for approval with the same key.");
    stage.fact(
        "it asks to be approved again, as the same device",
        request.device_id.as_str() == device && stage.gateway.paired().is_empty(),
    )?;
    approve_request_of(stage, backend).await?;
    let hello = backend.ready_after(&before).await?;
    stage.fact(
        "connected again by itself",
        hello.conn_id != before.conn_id && only_device(stage)? == device,
    )
}

/// Without its key a backend is another device.
pub(crate) async fn state_lost(stage: &Stage<'_>, backend: Backend) -> anyhow::Result<()> {
    let old = only_device(stage)?;
    backend.stop().await;
    stage
        .narrator()
        .types("operator", "docker compose down --volumes backend");
    fs::remove_dir_all(stage.backend_dir()).context("delete the state directory")?;
    let backend = stage.start_backend("docker compose up -d backend")?;
    let request = backend.awaits_approval().await?;
    stage.log();
    stage.explain(
        "The volume is deleted, and the key with it. The backend has made another one, which the gateway \
         does not know. The old device is still approved there, but its key no longer exists.",
    );
    stage.fact(
        &format!(
            "another device asks: {} instead of {}",
            request.device_id.short(),
            short(&old)
        ),
        request.device_id.as_str() != old && only_device(stage)? == old,
    )?;
    approve_request_of(stage, &backend).await?;
    backend.client().ready().await?;
    stage.explain("The old device is no longer needed, and is removed.");
    stage.operator().remove(&old)?;
    stage.operator().list();
    stage
        .connections("the new device stays connected", 1)
        .await?;
    stage.fact(
        "it is the only paired device",
        only_device(stage)? == request.device_id.as_str(),
    )?;
    backend.stop().await;
    Ok(())
}

/// Approves what the backend asks for now.
async fn approve_request_of(stage: &Stage<'_>, backend: &Backend) -> anyhow::Result<()> {
    let request = backend.awaits_approval().await?;
    let id = request
        .request_id
        .as_deref()
        .context("the gateway gave no request id")?;
    stage.operator().approve(id)
}

async fn connection_stays(
    stage: &Stage<'_>,
    backend: &Backend,
    before: &Hello,
) -> anyhow::Result<()> {
    let health = backend.client().call_raw("health", json!({})).await;
    stage.fact(
        "the existing connection stays, and answers",
        health.is_ok()
            && backend
                .hello()
                .is_some_and(|hello| hello.conn_id == before.conn_id),
    )
}

fn hello_of(backend: &Backend) -> anyhow::Result<Arc<Hello>> {
    backend.hello().context("the backend is not connected")
}

fn nobody_was_asked(stage: &Stage<'_>, backend: &Backend) -> bool {
    backend.asked() == 0 && stage.gateway.pending().is_empty()
}

fn only_device(stage: &Stage<'_>) -> anyhow::Result<String> {
    match &*stage.gateway.paired() {
        [device] => Ok(device.device_id.clone()),
        devices => bail!("{} devices are paired, not one", devices.len()),
    }
}

/// Describes the credential that the gateway accepted, if it is the expected one. 2026.2.9 does not name
/// it; there the gateway's token decides.
fn way_in(stage: &Stage<'_>, hello: &Hello, wanted: &str) -> anyhow::Result<String> {
    match (&hello.auth_method, stage.gateway.edition()) {
        (Some(method), _) if method == wanted => Ok(format!("accepted by `{method}`")),
        (None, Edition::V2026_2_9) => Ok("though 2026.2.9 does not name the credential".to_owned()),
        (other, _) => bail!("the gateway accepted {other:?}, not {wanted}"),
    }
}

fn warnings(log: &[String]) -> usize {
    log.iter().filter(|line| line.contains("is stale")).count()
}

fn mode(path: &Path) -> anyhow::Result<u32> {
    let metadata = fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
    Ok(metadata.permissions().mode() & 0o777)
}
