//! Device tokens: minted, checked, replaced, revoked.

use crate::model::pairing::records::DeviceToken;
use crate::model::pairing::scopes::{first_missing, normalised};
use crate::model::pairing::store::{Change, PairingStore, RoleScopes, TokenFault};

impl PairingStore {
    pub(super) fn minted(
        &self,
        role: &str,
        scopes: Vec<String>,
        known: Option<&DeviceToken>,
        now: u64,
    ) -> DeviceToken {
        let mut token = DeviceToken::new(self.new_secret(), role, scopes, now);
        if let Some(known) = known {
            token.created_at_ms = known.created_at_ms;
            token.rotated_at_ms = Some(now);
            token.last_used_at_ms = known.last_used_at_ms;
        }
        token
    }

    fn new_secret(&self) -> String {
        use base64::Engine as _;
        if self.facts.hex_tokens {
            return uuid::Uuid::new_v4().simple().to_string();
        }
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(halves.concat())
    }

    /// Returns whether `token` logs the device in for this role and these scopes; notes the use.
    pub(crate) fn verify(
        &mut self,
        device_id: &str,
        token: &str,
        wanted: RoleScopes<'_>,
        now: u64,
    ) -> Result<(), TokenFault> {
        let facts = self.facts;
        let device = self.device_mut(device_id).ok_or(TokenFault::Unknown)?;
        let approved = device.scopes.clone();
        let known = device
            .tokens
            .get_mut(wanted.role)
            .ok_or(TokenFault::Unknown)?;
        if known.revoked_at_ms.is_some() || known.expose() != token {
            return Err(TokenFault::Unknown);
        }
        let imply = facts.scopes_imply;
        let within = |asked: &[String], held: &[String]| {
            first_missing(wanted.role, asked, &normalised(held, imply), imply).is_none()
        };
        if imply && !within(&known.scopes, &approved) {
            return Err(TokenFault::Scopes);
        }
        if !within(&normalised(wanted.scopes, imply), &known.scopes) {
            return Err(TokenFault::Scopes);
        }
        known.last_used_at_ms = Some(now);
        if facts.tracks_approval {
            device.last_seen_at_ms = Some(now);
            device.last_seen_reason = Some("device-token-auth".into());
        }
        Ok(())
    }

    /// The token that hello-ok hands out: the known one if it still serves, else a new one.
    pub(crate) fn ensure_token(
        &mut self,
        device_id: &str,
        wanted: RoleScopes<'_>,
        now: u64,
    ) -> Option<DeviceToken> {
        let imply = self.facts.scopes_imply;
        let device = self.device(device_id)?;
        let scopes = normalised(wanted.scopes, imply);
        let approved = normalised(&device.scopes, imply);
        let within = |asked: &[String], held: &[String]| {
            first_missing(wanted.role, asked, held, imply).is_none()
        };
        if imply
            && !(within(&scopes, &approved) && device.roles.iter().any(|role| role == wanted.role))
        {
            return None;
        }
        let known = device.tokens.get(wanted.role).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.revoked_at_ms.is_none())
            && within(&scopes, &known.scopes)
            && (!imply || within(&known.scopes, &approved))
        {
            return Some(known.clone());
        }
        let token = self.minted(wanted.role, scopes, known.as_ref(), now);
        let device = self.device_mut(device_id)?;
        device.tokens.insert(wanted.role.to_owned(), token.clone());
        Some(token)
    }

    /// Replaces a token. Without `scopes` the new one has those of the old one.
    pub(crate) fn rotate(
        &mut self,
        device_id: &str,
        role: &str,
        scopes: Option<&[String]>,
        caller: Option<&[String]>,
        now: u64,
    ) -> Result<DeviceToken, Change> {
        let facts = self.facts;
        let device = self.device(device_id).ok_or(Change::Unknown)?;
        let known = device.tokens.get(role).cloned();
        let fallback = known.as_ref().map_or(&device.scopes, |token| &token.scopes);
        let wanted = normalised(scopes.unwrap_or(fallback), facts.scopes_imply);
        if facts.guards_device_rpcs {
            if !device.roles.iter().any(|known| known == role) {
                return Err(Change::Unknown);
            }
            let approved = normalised(&device.scopes, true);
            if first_missing(role, &wanted, &approved, true).is_some() {
                return Err(Change::OutsideApproval);
            }
            if let Some(held) = caller.filter(|_| role == "operator")
                && let Some(scope) = first_missing(role, &wanted, held, true)
            {
                return Err(Change::Missing(scope.to_owned()));
            }
        }
        let mut token = self.minted(role, wanted, known.as_ref(), now);
        token.rotated_at_ms = Some(now);
        let device = self.device_mut(device_id).ok_or(Change::Unknown)?;
        if scopes.is_some() && !facts.guards_device_rpcs {
            device.scopes.clone_from(&token.scopes);
        }
        device.tokens.insert(role.to_owned(), token.clone());
        Ok(token)
    }

    /// Revokes a token and says when.
    pub(crate) fn revoke(
        &mut self,
        device_id: &str,
        role: &str,
        caller: Option<&[String]>,
        now: u64,
    ) -> Result<u64, Change> {
        let guards = self.facts.guards_device_rpcs;
        let device = self.device_mut(device_id).ok_or(Change::Unknown)?;
        if guards && !device.roles.iter().any(|known| known == role) {
            return Err(Change::Unknown);
        }
        let token = device.tokens.get_mut(role).ok_or(Change::Unknown)?;
        if let Some(held) = caller.filter(|_| guards && role == "operator")
            && let Some(scope) = first_missing(role, &token.scopes, held, true)
        {
            return Err(Change::Missing(scope.to_owned()));
        }
        token.revoked_at_ms = Some(now);
        Ok(now)
    }
}
