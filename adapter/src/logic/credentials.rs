//! Which credential the next attempt logs in with. No I/O.
//!
//! The shared token comes first: only it brings a device token after an approval. When the gateway
//! refuses it, this device's own token may still let us in, and the other way round. Neither is
//! offered twice in a row, so a wrong token costs at most two attempts and never trips the
//! gateway's rate limit.

use crate::base::secret::Token;
use crate::logic::handshake::Auth;
use crate::logic::pairing::covers;
use crate::store::DeviceToken;

/// Where a token comes from that no variable and no file holds, for advice.
pub(crate) const GIVEN_TOKEN: &str = "the token in the backend's configuration";
/// The same of a password.
pub(crate) const GIVEN_PASSWORD: &str = "the password in the backend's configuration";

/// What the backend was given to log in with.
#[derive(Clone, Debug)]
pub(crate) enum Secret {
    Token(Token),
    Password(Token),
}

impl Secret {
    fn auth(&self) -> Auth {
        match self {
            Self::Token(token) => Auth::Shared(token.clone()),
            Self::Password(password) => Auth::Password(password.clone()),
        }
    }

    /// Whether it is this value, as a token or as a password.
    pub(crate) fn holds(&self, value: &Token) -> bool {
        let (Self::Token(held) | Self::Password(held)) = self;
        held == value
    }

    /// Where it comes from, if the backend itself gave it.
    pub(crate) const fn given_origin(&self) -> &'static str {
        match self {
            Self::Token(_) => GIVEN_TOKEN,
            Self::Password(_) => GIVEN_PASSWORD,
        }
    }

    pub(crate) const fn is_password(&self) -> bool {
        matches!(self, Self::Password(_))
    }

    pub(crate) fn is_token(&self, value: &Token) -> bool {
        matches!(self, Self::Token(token) if token == value)
    }
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Used {
    Secret,
    Device,
}

/// What to do after a credential was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AfterRefusal {
    /// The other credential has not been tried since the last success.
    TryOther,
    /// Both were refused, or there is only one.
    GiveUp,
}

/// The credentials of one client, and which of them were refused.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts; no combination of them is a state of its own"
)]
pub(crate) struct Credentials {
    secret: Secret,
    device: Option<DeviceToken>,
    role: String,
    scopes: Vec<String>,
    /// Whether this device's token may go to this endpoint when the secret is refused.
    may_fall_back: bool,
    /// The secret in hand was refused by the gateway at some point.
    secret_is_stale: bool,
    secret_tried: bool,
    device_tried: bool,
}

impl Credentials {
    pub(crate) const fn new(
        secret: Secret,
        role: String,
        scopes: Vec<String>,
        may_fall_back: bool,
    ) -> Self {
        Self {
            secret,
            device: None,
            role,
            scopes,
            may_fall_back,
            secret_is_stale: false,
            secret_tried: false,
            device_tried: false,
        }
    }

    /// The credential for the next attempt.
    pub(crate) fn choose(&self) -> (Used, Auth) {
        match self.usable_device() {
            Some(device) if self.secret_is_stale && !self.device_tried => {
                (Used::Device, Auth::Device(device.token().clone()))
            }
            _ => (Used::Secret, self.secret.auth()),
        }
    }

    /// The device token, if it may be offered and is worth offering.
    fn usable_device(&self) -> Option<&DeviceToken> {
        self.device.as_ref().filter(|device| {
            self.may_fall_back
                && device.role() == self.role
                // Offering it for more than it covers gets a scope mismatch at best.
                && covers(device.scopes(), &self.scopes)
        })
    }

    /// The gateway refused the shared token or password.
    pub(crate) fn secret_refused(&mut self) -> AfterRefusal {
        self.secret_is_stale = true;
        self.secret_tried = true;
        if self.device_tried || self.usable_device().is_none() {
            AfterRefusal::GiveUp
        } else {
            AfterRefusal::TryOther
        }
    }

    /// The gateway refused the device token. `forget` drops it: it is void, not just too narrow.
    pub(crate) fn device_refused(&mut self, forget: bool) -> (AfterRefusal, Option<DeviceToken>) {
        self.device_tried = true;
        let dropped = if forget { self.device.take() } else { None };
        let next = if self.secret_tried {
            AfterRefusal::GiveUp
        } else {
            AfterRefusal::TryOther
        };
        (next, dropped)
    }

    /// The gateway let us in.
    pub(crate) fn accepted(&mut self, used: Used) {
        self.secret_tried = false;
        self.device_tried = false;
        if used == Used::Secret {
            self.secret_is_stale = false;
        }
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Another secret was given: everything may be tried again.
    pub(crate) fn replace_secret(&mut self, secret: Secret) {
        self.secret = secret;
        self.secret_is_stale = false;
        self.try_all_again();
    }

    /// Somebody asked for another round.
    pub(crate) const fn try_all_again(&mut self) {
        self.secret_tried = false;
        self.device_tried = false;
    }

    pub(crate) const fn device(&self) -> Option<&DeviceToken> {
        self.device.as_ref()
    }

    /// The device token that the store holds, which may come from another process.
    pub(crate) fn set_device(&mut self, device: Option<DeviceToken>) {
        self.device = device;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(scopes: &[&str], may_fall_back: bool) -> Credentials {
        let mut credentials = Credentials::new(
            Secret::Token(Token::new("shared-token").unwrap()),
            "operator".into(),
            vec!["operator.read".into(), "operator.write".into()],
            may_fall_back,
        );
        credentials.set_device(Some(DeviceToken::new(
            Token::new("device-token").unwrap(),
            "operator",
            scopes.iter().map(|scope| (*scope).into()).collect(),
            1,
        )));
        credentials
    }

    const ENOUGH: &[&str] = &["operator.read", "operator.write"];

    #[test]
    fn the_device_token_serves_when_the_shared_one_is_stale_and_stays_first_then() {
        let mut credentials = credentials(ENOUGH, true);
        assert_eq!(credentials.choose().0, Used::Secret);
        assert_eq!(credentials.secret_refused(), AfterRefusal::TryOther);
        assert_eq!(credentials.choose().0, Used::Device);
        credentials.accepted(Used::Device);
        assert_eq!(credentials.choose().0, Used::Device);
    }

    #[test]
    fn two_refusals_are_the_end() {
        let mut credentials = credentials(ENOUGH, true);
        credentials.secret_refused();
        let (next, dropped) = credentials.device_refused(true);
        assert_eq!(next, AfterRefusal::GiveUp);
        assert!(dropped.is_some());
        assert!(credentials.device().is_none());
    }

    #[test]
    fn a_void_device_token_gives_the_stale_secret_one_more_chance() {
        let mut credentials = credentials(ENOUGH, true);
        credentials.secret_refused();
        credentials.accepted(Used::Device);
        let (next, _) = credentials.device_refused(true);
        assert_eq!(next, AfterRefusal::TryOther);
        assert_eq!(credentials.choose().0, Used::Secret);
        assert_eq!(credentials.secret_refused(), AfterRefusal::GiveUp);
    }

    #[test]
    fn a_device_token_is_not_offered_where_it_may_not_or_cannot_serve() {
        assert_eq!(
            credentials(ENOUGH, false).secret_refused(),
            AfterRefusal::GiveUp
        );
        assert_eq!(
            credentials(&["operator.read"], true).secret_refused(),
            AfterRefusal::GiveUp
        );
    }

    #[test]
    fn a_new_secret_is_tried_at_once() {
        let mut credentials = credentials(ENOUGH, true);
        credentials.secret_refused();
        credentials.device_refused(false);
        credentials.replace_secret(Secret::Token(Token::new("another-token").unwrap()));
        assert_eq!(credentials.choose().0, Used::Secret);
    }
}
