//! Where a device's identity and its tokens are kept between starts.
//!
//! [`FileStore`] is the usual one, [`InlineStore`] is for containers that get their identity from
//! the environment, [`MemoryStore`] for tests. Others implement [`IdentityStore`] and run
//! [`conformance::check`].
//!
//! A client calls its store by itself. What a store knows can be looked at:
//!
//! ```
//! use openclaw_adapter::store::IdentityStore as _;
//! use openclaw_adapter::{DeviceIdentity, DeviceToken, Endpoint, MemoryStore, Token};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let device = store.load_or_create(&mut || DeviceIdentity::generate(1_795_000_000_000))?;
//! let gateway = Endpoint::parse("wss://gateway.example.com")?.key();
//! # let scopes = vec!["operator.read".to_owned()];
//! # let token = DeviceToken::new(Token::new("given")?, "operator", scopes, 1_795_000_000_000);
//! # store.put_token(&gateway, device.id(), &token)?;
//!
//! let memo = store.gateway(&gateway, device.id())?;
//! if let Some(token) = memo.token("operator") {
//!     println!("{gateway} gave {} a token for {:?}", device.id().short(), token.scopes());
//! }
//! # assert!(!memo.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod conformance;
mod dir;
mod error;
mod file;
mod inline;
pub(crate) mod memo;
mod memory;
mod permissions;
mod step;
mod tokens;

use std::fmt;
use std::path::PathBuf;

pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
pub use inline::InlineStore;
pub use memo::{DeviceToken, GatewayMemo};
pub use memory::MemoryStore;

#[doc(inline)]
pub use crate::protocol::SignatureVersion;
#[cfg(any(test, feature = "__fuzz"))]
pub(crate) use tokens::read_twice as read_tokens_twice;

use crate::base::endpoint::GatewayKey;
use crate::base::identity::{DeviceId, DeviceIdentity, IdentityError};
use crate::base::secret::Token;

/// Keeps one device identity, and what it has learned of each gateway.
///
/// The methods are synchronous and may wait for a disk or a lock: the adapter calls them on a
/// thread that may block, and another caller should do the same. Several threads may use one
/// store, and several processes one place.
///
/// One that passes on what it does not do itself:
///
/// ```
/// use openclaw_adapter::store::conformance;
/// use openclaw_adapter::{
///     DeviceId, DeviceIdentity, DeviceToken, GatewayKey, GatewayMemo, IdentityError, IdentityStore,
///     MemoryStore, SignatureVersion, StoreError, Token,
/// };
///
/// /// Keeps nothing beyond the process, and says who asks.
/// #[derive(Debug, Default)]
/// struct Audited(MemoryStore);
///
/// impl IdentityStore for Audited {
///     fn load_or_create(
///         &self,
///         create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
///     ) -> Result<DeviceIdentity, StoreError> {
///         println!("the identity was asked for");
///         self.0.load_or_create(create)
///     }
///
///     fn load(&self) -> Result<Option<DeviceIdentity>, StoreError> {
///         self.0.load()
///     }
///
///     fn gateway(&self, key: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError> {
///         self.0.gateway(key, device)
///     }
///
///     fn put_token(
///         &self,
///         key: &GatewayKey,
///         device: &DeviceId,
///         token: &DeviceToken,
///     ) -> Result<(), StoreError> {
///         println!("{key} gave a token for {}", token.role());
///         self.0.put_token(key, device, token)
///     }
///
///     fn remove_token(
///         &self,
///         key: &GatewayKey,
///         device: &DeviceId,
///         role: &str,
///         token: &Token,
///     ) -> Result<bool, StoreError> {
///         self.0.remove_token(key, device, role, token)
///     }
///
///     fn put_signature(
///         &self,
///         key: &GatewayKey,
///         device: &DeviceId,
///         version: SignatureVersion,
///     ) -> Result<(), StoreError> {
///         self.0.put_signature(key, device, version)
///     }
///
///     fn location(&self) -> String {
///         "memory, audited".to_owned()
///     }
/// }
///
/// # fn main() -> Result<(), conformance::Violation> {
/// conformance::check(&|| Box::new(Audited::default()))
/// # }
/// ```
pub trait IdentityStore: fmt::Debug + Send + Sync + 'static {
    /// The stored identity; if there is none, the one that `create` makes, once it is stored.
    ///
    /// What it returns is what is stored, whoever made it: of two callers that find nothing, both
    /// get the same identity. A stored identity is never replaced.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is an identity that cannot be used, or none can be stored.
    fn load_or_create(
        &self,
        create: &mut dyn FnMut() -> Result<DeviceIdentity, IdentityError>,
    ) -> Result<DeviceIdentity, StoreError>;

    /// The stored identity, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is one that cannot be used.
    fn load(&self) -> Result<Option<DeviceIdentity>, StoreError>;

    /// What is known of `gateway` for `device`: empty if nothing is, or if it is of another device.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be read.
    fn gateway(&self, gateway: &GatewayKey, device: &DeviceId) -> Result<GatewayMemo, StoreError>;

    /// Keeps `token` as the one of its role on `gateway`, instead of an earlier one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be stored; then the earlier one is still there.
    fn put_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        token: &DeviceToken,
    ) -> Result<(), StoreError>;

    /// Forgets the token of `role` if it is still `token`, and says whether it was: another
    /// process may have put a newer one in its place.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the change could not be stored; then the token is still there.
    fn remove_token(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        role: &str,
        token: &Token,
    ) -> Result<bool, StoreError>;

    /// Remembers which device signature `gateway` accepts.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be stored.
    fn put_signature(
        &self,
        gateway: &GatewayKey,
        device: &DeviceId,
        version: SignatureVersion,
    ) -> Result<(), StoreError>;

    /// Where it keeps things, for messages to people: a path, `memory`, the name of a variable.
    fn location(&self) -> String;

    /// Whether none of its methods ever waits, for a disk or for anybody: the adapter then calls
    /// them in place. `false` unless a store says otherwise.
    fn is_nonblocking(&self) -> bool {
        false
    }

    /// The file that holds the identity, whether it is there or not; `None` where it is not kept in
    /// a file of its own.
    fn identity_file(&self) -> Option<PathBuf> {
        None
    }
}
