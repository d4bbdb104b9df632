//! The form of the text that a device signs.

/// The form of the text a device signs.
///
/// Measured: 2026.9.6 takes both, 2026.2.9 takes only version 2.
///
/// There may be more one day. A store need not know which: it keeps the word and reads it back.
///
/// ```
/// use openclaw_adapter::store::SignatureVersion;
///
/// for version in [SignatureVersion::V2, SignatureVersion::V3] {
///     let kept: String = version.as_str().to_owned();
///     assert_eq!(SignatureVersion::from_word(&kept), Some(version));
/// }
/// // Written by a later version of this crate: not known, so that it is found out again.
/// assert_eq!(SignatureVersion::from_word("v9"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureVersion {
    /// Without platform and device family.
    V2,
    /// With platform and device family.
    V3,
}

impl SignatureVersion {
    /// A stable word for it: `v2` or `v3`, as the signed text begins.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }

    /// The version with this word. `None` for any other: then nothing is to be set in the
    /// [`GatewayMemo`](crate::GatewayMemo), and the next connection finds out what the gateway accepts.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::V2, Self::V3]
            .into_iter()
            .find(|version| version.as_str() == word)
    }
}
