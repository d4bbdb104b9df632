//! Diagnosis of the connection between this host and its gateway, with the one thing to do next.
//!
//! [`examine`] walks the way of a connection: address, name, TCP, TLS, upgrade, challenge, clock,
//! token, identity, approval, scopes, and a tick or pong. It says of each if it is as it should
//! be, and gives one next action. The program's `doctor` shows the same report.
//!
//! It changes nothing on this host: no identity is made, no token is stored or forgotten. On the
//! gateway it does what one connect does, so a device that is not approved leaves its request for
//! approval there, or renews the one that waits there; 2026.9.6 replaces a waiting one, and its id, when
//! more is asked for than it asks. So give it the backend's own configuration. Where there is no identity
//! yet, only the token is offered, without a device; then nothing is left there. A wrong token counts as a failed attempt, as from any client (2026.9.6
//! locks an address out after ten within a minute).
//!
//! ```no_run
//! use openclaw_adapter::{Config, doctor};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let report = doctor::examine(&Config::from_env()?, &doctor::Options::new()).await;
//! for finding in &report.findings {
//!     println!("{} {}: {}", finding.status, finding.check, finding.message);
//! }
//! println!("next: {}", report.verdict.action);
//! # Ok(())
//! # }
//! ```

mod facts;
mod json5;
mod judge;
mod local;
mod login;
mod methods;
mod openclaw_json;
mod probe;
mod report;
mod shape;
mod symptoms;

use std::path::PathBuf;
use std::time::Duration;

pub use self::facts::Perspective;
pub use self::report::{Check, Finding, Issue, Report, Status, Verdict};
use crate::config::ConfigBuilder;
use crate::logic::config_error::ConfigError;

/// The time for a whole examination, unless set.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Options of an examination.
///
/// ```
/// use std::time::Duration;
///
/// use openclaw_adapter::doctor::Check;
/// use openclaw_adapter::{Config, MemoryStore, Token, doctor};
/// # use openclaw_mock_gateway::MockGateway;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// # let builder = Config::builder()
/// #     .url(gateway.url())
/// #     .token(Token::new(gateway.token())?)
/// #     .store(MemoryStore::new());
/// let options = doctor::Options::new()
///     .timeout(Duration::from_secs(5))
///     .method("agent")
///     .symptoms("gateway connect failed: pairing required");
/// let report = doctor::examine(&builder, &options).await;
/// let symptoms = report.finding(Check::Symptoms).ok_or("it was given one")?;
/// println!("{}: {}", symptoms.status, symptoms.message);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing by themselves"]
pub struct Options {
    timeout: Duration,
    perspective: Perspective,
    method: Option<String>,
    openclaw_json: Option<Lookup>,
    symptoms: Option<String>,
}

/// The paths at which a gateway's `openclaw.json` is looked for.
#[derive(Clone, Debug)]
struct Lookup {
    paths: Vec<PathBuf>,
    /// Somebody says that it is there.
    is_named: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The connection of a backend, in at most 20 seconds, and no files of a gateway.
    pub const fn new() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            perspective: Perspective::Backend,
            method: None,
            openclaw_json: None,
            symptoms: None,
        }
    }

    /// The time for the whole examination; 20 s unless set. With more than the gateway's tick
    /// interval (30 s on real ones) a tick itself is waited for, not just any frame.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whose connection it is, a backend's unless set; only the advice differs.
    pub const fn perspective(mut self, perspective: Perspective) -> Self {
        self.perspective = perspective;
        self
    }

    /// A method of the gateway that has to be allowed, such as `agent`. It is not called.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Sets the paths at which a gateway on this host may have its `openclaw.json`; the first that is there is read,
    /// and its token compared.
    pub fn openclaw_json(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.openclaw_json = Some(Lookup {
            paths: paths.into_iter().collect(),
            is_named: false,
        });
        self
    }

    /// Sets the path of the gateway's `openclaw.json`. A file that cannot be read is a warning.
    pub fn named_openclaw_json(mut self, path: impl Into<PathBuf>) -> Self {
        self.openclaw_json = Some(Lookup {
            paths: vec![path.into()],
            is_named: true,
        });
        self
    }

    /// Sets messages seen elsewhere, such as the gateway's log, in which known symptoms are
    /// recognised. Nothing of the text is repeated.
    pub fn symptoms(mut self, text: impl Into<String>) -> Self {
        self.symptoms = Some(text.into());
        self
    }
}

/// Looks at everything between this host and the gateway of `builder`.
///
/// It needs no usable configuration: what is wrong with it is in the report. It ends within the
/// time of `options`, and a moment.
///
/// # Cancel safety
///
/// Dropping the future drops the connection; nothing else is left.
///
/// # Examples
///
/// ```
/// use openclaw_adapter::{Config, MemoryStore, Token, doctor};
/// # use openclaw_mock_gateway::MockGateway;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gateway = MockGateway::start().await;
/// let builder = Config::builder()
///     .url(gateway.url())
///     .token(Token::new("not-the-gateways-token")?)
///     .store(MemoryStore::new());
/// let report = doctor::examine(&builder, &doctor::Options::new()).await;
/// assert!(!report.is_healthy());
/// println!("{}", report.verdict.action);
/// # Ok(())
/// # }
/// ```
pub async fn examine(builder: &ConfigBuilder, options: &Options) -> Report {
    match probe::gather(builder, options).await {
        Some(facts) => judge::report(&facts),
        None => judge::no_disk(options.timeout),
    }
}

/// The report on a configuration of which nothing could be read, as
/// [`Config::from_env`](crate::Config::from_env) says it.
#[must_use]
pub fn not_configured(error: &ConfigError) -> Report {
    judge::not_configured(error)
}
