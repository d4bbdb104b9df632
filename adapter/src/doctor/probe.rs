//! Walks the way to the gateway and notes what it meets. Judges nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Options;
use super::facts::{
    Asked, Credential, Facts, Found, LoginEnd, Plain, Sign, Step, Tcp, TcpFault, UpgradeFault,
};
use super::local::{self, Local};
use super::login::{Candidate, Tried};
use super::symptoms;
use crate::config::ConfigBuilder;
use crate::driver::clock::now_ms;
use crate::logic::error::TransportErrorKind;
use crate::net::{Connection, DialError, Dialer, Inbound, Socket, TlsFault, connect_tcp, resolve};
use crate::protocol::frame::{self, Incoming};

/// The silence after which the gateway is pinged.
const PASSIVE: Duration = Duration::from_millis(500);
/// An answer to a ping that does not come within this time is missing.
const PONG: Duration = Duration::from_millis(500);
/// A tick may come this much late.
const LATE_TICK: Duration = Duration::from_secs(1);
const GOODBYE: Duration = Duration::from_millis(500);

/// Everything there is to see. `None` if this host's own disk did not answer in time.
pub(super) async fn gather(builder: &ConfigBuilder, options: &Options) -> Option<Facts> {
    let deadline = Instant::now() + options.timeout;
    let local = {
        let builder = builder.clone();
        let lookup = options.openclaw_json.clone();
        let look = tokio::task::spawn_blocking(move || local::look(&builder, lookup.as_ref()));
        timeout_at(deadline, look).await.ok()?.ok()?
    };
    let profile = Arc::new(builder.profile());
    let mut facts = start(builder, options, &local);
    let usable = match (&facts.address, local.dialer) {
        (Ok(address), Some(Ok((dialer, is_plain_tcp)))) => {
            Some((dialer, is_plain_tcp, address.plain != Plain::Refused))
        }
        (_, Some(Err(error))) => {
            facts.setup = Err(error);
            None
        }
        _ => None,
    };
    let Some((dialer, is_plain_tcp, may_dial)) = usable else {
        return Some(facts);
    };
    let walk = Walk {
        dialer: &dialer,
        is_plain_tcp,
        may_dial,
        deadline,
    };
    let Some(socket) = walk.to_socket(&mut facts, builder.is_pinned()).await else {
        return Some(facts);
    };
    let device = local.device.as_ref().ok().and_then(Option::as_ref);
    let candidate = Candidate {
        dialer: &dialer,
        profile: &profile,
        device,
        secret: local
            .secret
            .as_ref()
            .ok()
            .map(|(secret, source)| (secret, source)),
        may_fall_back: builder.may_fall_back(&dialer.endpoint),
        deadline,
    };
    let Tried {
        challenge,
        login,
        socket,
    } = candidate.log_in(socket).await;
    facts.challenge = challenge;
    facts.login = login;
    if let (Some(mut socket), Some(interval)) = (socket, tick_interval(&facts)) {
        facts.tick = sign_of_life(&mut socket, interval, deadline).await;
        socket.close(GOODBYE).await;
    }
    facts.requested_at_ms = requested_at(&facts).await;
    Some(facts)
}

/// Collects the facts that are known before anything is dialled.
fn start(builder: &ConfigBuilder, options: &Options, local: &Local) -> Facts {
    let profile = builder.profile();
    Facts {
        perspective: options.perspective,
        limit: options.timeout,
        now_ms: now_ms(),
        address: local.address.clone(),
        setup: Ok(()),
        name: Step::NotReached,
        tcp: Step::NotReached,
        tls: Step::NotReached,
        upgrade: Step::NotReached,
        challenge: Step::NotReached,
        token: local
            .secret
            .as_ref()
            .map(|(secret, source)| Credential::of(secret, source))
            .map_err(Clone::clone),
        openclaw_json: local.openclaw_json.clone(),
        identity: local
            .device
            .as_ref()
            .map(|device| device.as_ref().map(|device| device.facts.clone()))
            .map_err(Clone::clone),
        login: Step::NotReached,
        requested_at_ms: None,
        tick: Step::NotReached,
        profile: Asked {
            scopes: profile.scopes,
            place: local.place.clone(),
        },
        method: options.method.clone(),
        symptoms: options.symptoms.as_deref().map(symptoms::recognise),
    }
}

struct Walk<'a> {
    dialer: &'a Dialer,
    is_plain_tcp: bool,
    may_dial: bool,
    deadline: Instant,
}

impl Walk<'_> {
    /// Name, TCP, TLS, upgrade. `None` where it ends early; the facts say why.
    async fn to_socket(&self, facts: &mut Facts, is_pinned: bool) -> Option<Socket> {
        let addresses = self.look_up(facts).await?;
        if !self.may_dial {
            return None;
        }
        let stream = self.open(facts, addresses).await?;
        let stream = self.secure(facts, stream, is_pinned).await?;
        let began = Instant::now();
        match timeout_at(self.deadline, self.dialer.upgrade(stream)).await {
            Err(_) => facts.upgrade = Step::Late,
            Ok(Ok(socket)) => {
                facts.upgrade = Step::Done(began.elapsed());
                return Some(socket);
            }
            Ok(Err(DialError::Refused(refusal))) => {
                facts.upgrade = Step::Failed(UpgradeFault::Refused(refusal));
            }
            // With TLS 1.3 the server says only now that it wants more of us.
            Ok(Err(DialError::Failed(error))) if error.kind() == TransportErrorKind::Tls => {
                facts.tls = Step::Failed(TlsFault::ClientCertificate);
            }
            Ok(Err(DialError::Failed(error))) => {
                facts.upgrade = Step::Failed(UpgradeFault::Failed(error.to_string()));
            }
        }
        None
    }

    /// The addresses to dial; empty where the backend's own connector looks them up.
    async fn look_up(&self, facts: &mut Facts) -> Option<Vec<SocketAddr>> {
        if !self.is_plain_tcp {
            return Some(Vec::new());
        }
        let endpoint = &self.dialer.endpoint;
        match timeout_at(self.deadline, resolve(endpoint.host(), endpoint.port())).await {
            Err(_) => {
                facts.name = Step::Late;
                None
            }
            Ok(Err(error)) => {
                facts.name = Step::Failed(error.to_string());
                None
            }
            Ok(Ok(addresses)) => {
                facts.name = Step::Done(addresses.iter().map(SocketAddr::ip).collect());
                Some(addresses)
            }
        }
    }

    async fn open(
        &self,
        facts: &mut Facts,
        addresses: Vec<SocketAddr>,
    ) -> Option<Box<dyn Connection>> {
        let began = Instant::now();
        let endpoint = &self.dialer.endpoint;
        let opening = async {
            if self.is_plain_tcp {
                let stream = connect_tcp(&addresses).await?;
                let ends = (stream.peer_addr().ok(), stream.local_addr().ok());
                return Ok((Box::new(stream) as Box<dyn Connection>, ends));
            }
            let stream = self
                .dialer
                .connector
                .connect(endpoint.host(), endpoint.port())
                .await?;
            Ok::<_, std::io::Error>((stream, (None, None)))
        };
        match timeout_at(self.deadline, opening).await {
            Err(_) => {
                facts.tcp = Step::Late;
                None
            }
            Ok(Err(error)) => {
                facts.tcp = Step::Failed(TcpFault {
                    kind: error.kind(),
                    what: error.to_string(),
                });
                None
            }
            Ok(Ok((stream, (peer, local)))) => {
                facts.tcp = Step::Done(Tcp {
                    took: began.elapsed(),
                    peer,
                    local,
                });
                Some(stream)
            }
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(
        &self,
        facts: &mut Facts,
        stream: Box<dyn Connection>,
        is_pinned: bool,
    ) -> Option<Box<dyn Connection>> {
        use super::facts::Tls;
        use crate::base::tls::TlsFingerprint;

        let Some(config) = &self.dialer.tls else {
            return Some(stream);
        };
        let began = Instant::now();
        match timeout_at(self.deadline, self.dialer.encrypt(config, stream)).await {
            Err(_) => {
                facts.tls = Step::Late;
                None
            }
            Ok(Err(error)) => {
                facts.tls = Step::Failed(TlsFault::of(&error));
                None
            }
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                let certificate = session.peer_certificates().and_then(|list| list.first());
                facts.tls = Step::Done(Tls {
                    took: began.elapsed(),
                    version: session
                        .protocol_version()
                        .map_or_else(String::new, |version| format!("{version:?}")),
                    fingerprint: certificate
                        .map(|certificate| TlsFingerprint::of(certificate).to_string()),
                    is_pinned,
                });
                Some(Box::new(stream))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "the same shape as with TLS")]
    async fn secure(
        &self,
        _: &mut Facts,
        stream: Box<dyn Connection>,
        _: bool,
    ) -> Option<Box<dyn Connection>> {
        Some(stream)
    }
}

fn tick_interval(facts: &Facts) -> Option<Duration> {
    match &facts.login.done()?.end {
        LoginEnd::Accepted { hello, .. } => Some(hello.policy.tick_interval),
        _ => None,
    }
}

/// The first thing that the gateway says after the login.
///
/// Waits for a tick, or pings the gateway after a while where there is no time to wait.
async fn sign_of_life(
    socket: &mut Socket,
    interval: Duration,
    deadline: Instant,
) -> Step<Sign, String> {
    let began = Instant::now();
    let promised = began + interval + LATE_TICK;
    let until = if promised <= deadline {
        promised
    } else {
        deadline.min(began + PASSIVE)
    };
    loop {
        match timeout_at(until, socket.next()).await {
            Err(_) => break,
            Ok(Inbound::Text(text)) => {
                return Step::Done(Sign::Frame {
                    name: name_of(&text),
                    after: began.elapsed(),
                });
            }
            // A ping of the gateway's own socket is none of its application.
            Ok(Inbound::Other) => {}
            Ok(Inbound::Closed(close)) => return Step::Failed(close.to_string()),
        }
    }
    let waited = began.elapsed();
    if until == promised {
        return Step::Done(Sign::Nothing { waited });
    }
    socket.ping();
    let asked = Instant::now();
    match timeout_at(deadline, socket.next()).await {
        Err(_) if asked.elapsed() < PONG => Step::Done(Sign::TooEarly),
        Err(_) => Step::Done(Sign::Nothing {
            waited: began.elapsed(),
        }),
        Ok(Inbound::Text(text)) => Step::Done(Sign::Frame {
            name: name_of(&text),
            after: began.elapsed(),
        }),
        Ok(Inbound::Other) => Step::Done(Sign::Pong {
            after: asked.elapsed(),
        }),
        Ok(Inbound::Closed(close)) => Step::Failed(close.to_string()),
    }
}

fn name_of(text: &str) -> String {
    match frame::parse(text) {
        Ok(Incoming::Event(event)) => crate::base::sanitize::printable(&event.name),
        _ => "a frame".to_owned(),
    }
}

/// Returns the time of the pending request, if the gateway's own list can be read here.
async fn requested_at(facts: &Facts) -> Option<u64> {
    let LoginEnd::Pairing(pairing) = &facts.login.done()?.end else {
        return None;
    };
    let id = pairing.request_id.clone()?;
    let (Found::Read { path, .. } | Found::Unreadable { path, .. }) = &facts.openclaw_json else {
        return None;
    };
    let path = path.clone();
    tokio::task::spawn_blocking(move || local::requested_at(&path, &id))
        .await
        .ok()?
}
