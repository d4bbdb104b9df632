//! Any changes in any order, with a disk that fails at any step: what is stored is what the last change
//! that was granted left there, or, after one that failed, that or what it was to leave.

use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::store::step::with_hook;

const GATEWAYS: [&str; 3] = [
    "ws://gateway:18789",
    "wss://gateway.example",
    "ws://[::1]:1",
];
const ROLES: [&str; 2] = ["operator", "node"];

#[derive(Clone, Debug)]
enum Change {
    Put(usize, usize, u64),
    Remove(usize, usize, u64),
    Sign(usize, bool),
    /// A process that starts anew.
    Restart,
}

fn change() -> impl Strategy<Value = Change> {
    let token = || (0..GATEWAYS.len(), 0..ROLES.len(), 0..3_u64);
    prop_oneof![
        token().prop_map(|(at, role, value)| Change::Put(at, role, value)),
        token().prop_map(|(at, role, value)| Change::Remove(at, role, value)),
        (0..GATEWAYS.len(), any::<bool>()).prop_map(|(at, new)| Change::Sign(at, new)),
        Just(Change::Restart),
    ]
}

fn key_of(gateway: usize) -> GatewayKey {
    Endpoint::parse(GATEWAYS[gateway]).unwrap().key()
}

fn token_of(role: usize, value: u64) -> DeviceToken {
    let token = Token::new(format!("token-{value}")).unwrap();
    DeviceToken::new(token, ROLES[role], vec![format!("scope-{value}")], value)
}

fn signature(new: bool) -> SignatureVersion {
    if new {
        SignatureVersion::V3
    } else {
        SignatureVersion::V2
    }
}

type Model = BTreeMap<usize, GatewayMemo>;

/// What a change leaves.
fn after(model: &Model, change: &Change) -> Model {
    let mut model = model.clone();
    match *change {
        Change::Put(gateway, role, value) => {
            let memo = model.entry(gateway).or_default();
            memo.put(token_of(role, value));
        }
        Change::Remove(gateway, role, value) => {
            let memo = model.entry(gateway).or_default();
            memo.remove(ROLES[role], token_of(role, value).token());
        }
        Change::Sign(gateway, new) => {
            let memo = model.entry(gateway).or_default();
            memo.set_signature(signature(new));
        }
        Change::Restart => {}
    }
    model.retain(|_, memo| !memo.is_empty());
    model
}

fn carry_out(store: &FileStore, device: &DeviceId, change: &Change) -> Result<(), StoreError> {
    match *change {
        Change::Put(gateway, role, value) => {
            store.put_token(&key_of(gateway), device, &token_of(role, value))
        }
        Change::Remove(gateway, role, value) => {
            let token = token_of(role, value);
            store
                .remove_token(&key_of(gateway), device, ROLES[role], token.token())
                .map(drop)
        }
        Change::Sign(gateway, new) => store.put_signature(&key_of(gateway), device, signature(new)),
        Change::Restart => store.load_or_create(&mut never).map(drop),
    }
}

fn stored(store: &FileStore, device: &DeviceId) -> Model {
    (0..GATEWAYS.len())
        .map(|gateway| (gateway, store.gateway(&key_of(gateway), device).unwrap()))
        .filter(|(_, memo)| !memo.is_empty())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_store_is_what_its_changes_say_whatever_fails(
        changes in prop::collection::vec((change(), prop::option::of(0..14_usize)), 1..16),
    ) {
        let (_dir, mut store) = bed();
        let device = store.load_or_create(&mut make).unwrap().id().clone();
        let mut model = Model::new();
        for (change, failing) in changes {
            if matches!(change, Change::Restart) {
                store = FileStore::new(store.state_dir());
            }
            let mut left = failing;
            let hook = move |_| match &mut left {
                Some(0) => {
                    left = None;
                    Err(io::ErrorKind::StorageFull.into())
                }
                Some(steps) => {
                    *steps -= 1;
                    Ok(())
                }
                None => Ok(()),
            };
            let granted = with_hook(hook, || carry_out(&store, &device, &change));
            let new = after(&model, &change);
            let now = stored(&store, &device);
            match granted {
                Ok(()) => prop_assert_eq!(&now, &new),
                Err(error) => {
                    prop_assert_eq!(error.kind(), StoreErrorKind::DiskFull);
                    prop_assert!(now == model || now == new, "neither the old nor the new state");
                }
            }
            model = now;
            let identity = store.load().unwrap().unwrap();
            prop_assert_eq!(identity.id(), &device);
            let inner = store.state_dir().join("identity");
            for name in names(&inner) {
                prop_assert_eq!(mode(&inner.join(&name)) & 0o077, 0, "{}", name);
            }
        }
        store.put_token(&key_of(0), &device, &token_of(0, 9)).unwrap();
        let inner = store.state_dir().join("identity");
        prop_assert_eq!(names(&inner), [".lock", "device.json", "tokens.json"]);
    }
}
