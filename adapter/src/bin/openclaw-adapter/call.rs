//! `openclaw-adapter call`: one method, by its name.

use std::io::{self, Read as _};
use std::time::Duration;

use openclaw_adapter::{ConfigBuilder, PairingPolicy};
use serde_json::Value;
use tokio::time::Instant;

use crate::args::Call;
use crate::connect_once::{Failure, connect, failed};
use crate::exit::Exit;
use crate::output::Output;
use crate::setup::Signals;
use crate::terminal::Mark;

/// The default time limit.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(builder: ConfigBuilder, args: &Call, output: Output) -> io::Result<Exit> {
    let params = match params(args.params.as_deref())? {
        Ok(params) => params,
        Err(message) => {
            output.stopped("usage", &message, "The parameters are one JSON value.")?;
            return Ok(Exit::Usage);
        }
    };
    let config = match builder.pairing(PairingPolicy::FailFast).build() {
        Ok(config) => config,
        Err(error) => {
            output.config(&error)?;
            return Ok(Exit::of_config(&error));
        }
    };
    let deadline = Instant::now() + args.timeout.unwrap_or(PATIENCE);
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut signals = Signals::listen()?;
    let client = tokio::select! {
        biased;
        signal = signals.next() => return Ok(signal),
        client = connect(config, left()) => match client {
            Ok(client) => client,
            Err(failure) => return failed(output, &failure),
        },
    };
    let call = client.call_raw(&args.method, &params).within(left());
    let answer = tokio::select! {
        biased;
        signal = signals.next() => Err(signal),
        answer = async { call.await } => Ok(answer.map_err(Failure::from)),
    };
    client.close().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(signal) => {
            let text = format!(
                "interrupted; the gateway may have carried {} out",
                args.method
            );
            output.say(Mark::Warning, &text)?;
            return Ok(signal);
        }
    };
    match answer {
        Ok(payload) => {
            output.print(&payload, || format!("{payload:#}"))?;
            Ok(Exit::Done)
        }
        Err(failure) => failed(output, &failure),
    }
}

/// The parameters: `{}` if none are given, those of standard input for `-`.
fn params(given: Option<&str>) -> io::Result<Result<Value, String>> {
    let text = match given {
        None => return Ok(Ok(Value::Object(serde_json::Map::new()))),
        Some("-") => {
            let mut text = String::new();
            match io::stdin().read_to_string(&mut text) {
                Ok(_) => text,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Ok(Err("the parameters are not UTF-8".to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
        Some(text) => text.to_owned(),
    };
    Ok(
        serde_json::from_str(&text)
            .map_err(|error| format!("the parameters are not JSON: {error}")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_one_json_value_and_none_are_an_empty_object() {
        assert_eq!(params(None).unwrap(), Ok(json!({})));
        assert_eq!(
            params(Some(r#" {"limit":2} "#)).unwrap(),
            Ok(json!({"limit":2}))
        );
        for bad in ["", "{", "limit=2", "{} {}"] {
            assert!(params(Some(bad)).unwrap().is_err(), "{bad}");
        }
    }
}
