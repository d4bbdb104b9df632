//! Which scopes are asked for: those that were set, those that were granted before, or the usual ones.

use super::builder::ConfigBuilder;

/// What most backends need: to see, and to run agents.
const USUAL: [&str; 2] = ["operator.read", "operator.write"];

impl ConfigBuilder {
    /// Asks for the scopes of the device token that the store holds for this gateway and role, unless
    /// scopes were set: by [`scopes`](Self::scopes), or by `OPENCLAW_ADAPTER_SCOPES`.
    ///
    /// This is for a tool that connects as a backend whose scopes it does not know: it asks for what the
    /// backend was let in with, so nobody has to approve more. Where there is no such token, or the
    /// store cannot be read, nothing changes.
    ///
    /// It reads the store, so call it where blocking for a moment is fine, and after the address, the
    /// role and the store are set.
    ///
    /// ```
    /// use openclaw_adapter::{Config, MemoryStore, Token};
    ///
    /// let config = Config::builder()
    ///     .token(Token::new("a-token-from-the-gateway")?)
    ///     .store(MemoryStore::new())
    ///     .stored_scopes()
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stored_scopes(self) -> Self {
        if self.scopes.is_some() {
            return self;
        }
        match self.granted() {
            Some(scopes) => self.scopes(scopes),
            None => self,
        }
    }

    /// The scopes of the stored device token.
    fn granted(&self) -> Option<Vec<String>> {
        let gateway = self.endpoint().ok()?.key();
        let store = self.build_store().ok()?;
        let identity = store.load().ok()??;
        let memo = store.gateway(&gateway, identity.id()).ok()?;
        memo.token(&self.role).map(|token| token.scopes().to_vec())
    }

    pub(super) fn asked_scopes(&self) -> Vec<String> {
        self.scopes
            .clone()
            .unwrap_or_else(|| USUAL.map(ToOwned::to_owned).to_vec())
    }
}

/// Reads a list with commas or white space between its words; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Vec<String>> {
    let is_scope = |scope: &str| {
        scope.chars().all(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '*')
        })
    };
    let scopes: Vec<String> = text
        .split(|character: char| character == ',' || character.is_whitespace())
        .filter(|scope| !scope.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    (!scopes.is_empty() && scopes.iter().all(|scope| is_scope(scope))).then_some(scopes)
}
