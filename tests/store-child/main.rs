//! A process that changes one store and ends, for the tests that trace and kill it. In a directory without an
//! identity it makes one; where there is one it replaces a token.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "what it says is for the test")]

use std::process::ExitCode;

use openclaw_adapter::{
    DeviceIdentity, DeviceToken, Endpoint, FileStore, IdentityStore as _, StoreError, Token,
};

fn work(store: &FileStore) -> Result<(), StoreError> {
    let Some(identity) = store.load()? else {
        return store
            .load_or_create(&mut || DeviceIdentity::generate(1))
            .map(drop);
    };
    let (Ok(gateway), Ok(token)) = (Endpoint::parse("ws://gateway:18789"), Token::new("new"))
    else {
        return Ok(());
    };
    let token = DeviceToken::new(token, "operator", Vec::new(), 1);
    store.put_token(&gateway.key(), identity.id(), &token)
}

fn main() -> ExitCode {
    let Some(state) = std::env::args_os().nth(1) else {
        return ExitCode::from(2);
    };
    match work(&FileStore::new(state)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{:?}", error.kind());
            ExitCode::FAILURE
        }
    }
}
