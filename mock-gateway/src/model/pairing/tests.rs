use super::store::*;
use crate::edition::Edition;

const OLD: Edition = Edition::V2026_2_9;
const NEW: Edition = Edition::V2026_9_6;

fn scopes(list: &[&str]) -> Vec<String> {
    list.iter()
        .map(|scope| format!("operator.{scope}"))
        .collect()
}

fn ask(list: &[&str]) -> Ask {
    Ask {
        device_id: "d".into(),
        public_key: "k".into(),
        role: "operator".into(),
        scopes: scopes(list),
        ..Ask::default()
    }
}

fn store(edition: Edition) -> PairingStore {
    PairingStore::new(edition, Stored::default())
}

fn paired(edition: Edition) -> PairingStore {
    let mut store = store(edition);
    let request = store.ask(&ask(&["read", "write"]), 1).request;
    store
        .approve(&request.request_id, None, "owner", 2)
        .expect("approved");
    store
}

#[test]
fn a_request_lives_five_minutes_from_its_ts_in_the_old_and_from_its_refresh_in_the_new() {
    for (edition, alive) in [(OLD, false), (NEW, true)] {
        let mut store = store(edition);
        let first = store.ask(&ask(&["read"]), 0).request;
        let again = store.ask(&ask(&["read"]), 150_000);
        assert!(!again.created);
        assert_eq!(again.request.request_id, first.request_id);
        assert_eq!(again.request.ts, 0);
        store.prune(300_001);
        assert_eq!(
            store.request(&first.request_id).is_some(),
            alive,
            "{edition}"
        );
        store.prune(450_001);
        assert!(store.request(&first.request_id).is_none());
    }
}

#[test]
fn a_wider_ask_is_ignored_by_the_old_and_supersedes_in_the_new() {
    let mut old = store(OLD);
    let first = old.ask(&ask(&["read"]), 0).request;
    let wider = old.ask(&ask(&["admin"]), 1);
    assert_eq!(wider.request.request_id, first.request_id);
    assert_eq!(wider.request.scopes, scopes(&["read"]));

    let mut new = store(NEW);
    let first = new.ask(&ask(&["read"]), 0).request;
    let wider = new.ask(&ask(&["admin"]), 1);
    assert_eq!(wider.superseded, [first.request_id]);
    assert_eq!(wider.request.scopes, scopes(&["read", "admin"]));
    let narrower = new.ask(&ask(&["pairing"]), 2);
    assert!(!narrower.created, "admin covers it");
}

#[test]
fn every_approval_mints_a_new_token() {
    for edition in Edition::ALL {
        let mut store = paired(edition);
        let before = store.device("d").expect("paired").tokens["operator"].clone();
        assert_eq!(before.expose().len(), if edition == OLD { 32 } else { 43 });
        let request = store.ask(&ask(&["read", "write", "admin"]), 3).request;
        assert!(request.is_repair);
        let device = store
            .approve(&request.request_id, None, "owner", 4)
            .expect("approved");
        let after = &device.tokens["operator"];
        assert_ne!(before.expose(), after.expose());
        assert_eq!((after.created_at_ms, after.rotated_at_ms), (2, Some(4)));
        assert_eq!(after.scopes, scopes(&["admin", "read", "write"]));
        assert_eq!(device.scopes, scopes(&["read", "write", "admin"]));
        assert_eq!((device.created_at_ms, device.approved_at_ms), (2, 4));
        assert_eq!(
            store.approve(&request.request_id, None, "owner", 5),
            Err(Change::Unknown)
        );
    }
}

#[test]
fn only_the_new_generation_asks_the_approver_for_the_scopes() {
    let held = scopes(&["pairing", "read"]);
    for edition in Edition::ALL {
        let mut store = store(edition);
        let request = store.ask(&ask(&["read", "write"]), 1).request;
        let approved = store.approve(&request.request_id, Some(&held), "owner", 2);
        match edition {
            Edition::V2026_2_9 => assert!(approved.is_ok()),
            Edition::V2026_9_6 => {
                assert_eq!(approved, Err(Change::Missing("operator.write".into())));
            }
        }
    }
}

#[test]
fn a_revoked_token_is_minted_again_silently_by_the_old_only() {
    let wanted = scopes(&["read"]);
    let wanted = RoleScopes {
        role: "operator",
        scopes: &wanted,
    };
    for edition in Edition::ALL {
        let mut store = paired(edition);
        let token = store.device("d").expect("paired").tokens["operator"].clone();
        assert_eq!(store.verify("d", token.expose(), wanted, 5), Ok(()));
        assert_eq!(
            store
                .ensure_token("d", wanted, 5)
                .map(|t| t.expose().to_owned()),
            Some(token.expose().to_owned())
        );
        store.revoke("d", "operator", None, 6).expect("revoked");
        assert_eq!(
            store.verify("d", token.expose(), wanted, 7),
            Err(TokenFault::Unknown)
        );
        let device = store.device("d").expect("paired");
        assert!(device.effective_roles().is_empty());
        assert_ne!(
            store
                .ensure_token("d", wanted, 8)
                .map(|t| t.expose().to_owned()),
            Some(token.expose().to_owned())
        );
    }
}

#[test]
fn the_old_rotation_widens_scopes_and_the_new_one_refuses() {
    let wide = scopes(&["admin"]);
    let mut old = paired(OLD);
    assert!(old.rotate("d", "operator", Some(&wide), None, 5).is_ok());
    assert_eq!(old.device("d").expect("paired").scopes, wide);
    let mut new = paired(NEW);
    assert_eq!(
        new.rotate("d", "operator", Some(&wide), None, 5),
        Err(Change::OutsideApproval)
    );
    assert_eq!(new.rotate("d", "node", None, None, 5), Err(Change::Unknown));
}

#[test]
fn a_token_asked_for_too_much_is_told_apart() {
    let mut store = paired(NEW);
    let token = store.device("d").expect("paired").tokens["operator"].clone();
    let wide = scopes(&["admin"]);
    let wanted = RoleScopes {
        role: "operator",
        scopes: &wide,
    };
    assert_eq!(
        store.verify("d", token.expose(), wanted, 5),
        Err(TokenFault::Scopes)
    );
}

#[test]
fn the_files_can_be_read_back() {
    let mut store = paired(NEW);
    store.ask(
        &Ask {
            device_id: "e".into(),
            ..ask(&["read"])
        },
        9,
    );
    let stored = store.stored().clone();
    let again = Stored::from_files(&stored.pending_file(), &stored.paired_file());
    assert_eq!(again, stored);
    assert_eq!(
        Stored::from_files(&serde_json::Value::Null, &serde_json::json!([])),
        Stored::default()
    );
}
