//! `openclaw-adapter connect`.

use std::io;
use std::time::Duration;

use openclaw_adapter::{Client, ConfigBuilder, ConnectionState, PairingPolicy, StopReason};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::args::Connect;
use crate::exit::Exit;
use crate::output::Output;
use crate::setup::Signals;

/// The time for one attempt, when there is to be no waiting.
const ONE_ATTEMPT: Duration = Duration::from_secs(15);

pub(crate) async fn run(
    builder: ConfigBuilder,
    args: &Connect,
    output: Output,
) -> io::Result<Exit> {
    let once = args.wait == Some(Duration::ZERO);
    let (states, mut changes) = mpsc::unbounded_channel();
    let builder = if once {
        builder.pairing(PairingPolicy::FailFast)
    } else {
        builder
    };
    let config = match builder
        .on_state(move |state| {
            // The receiver lives as long as the client.
            let _ = states.send(state.clone());
        })
        .build()
    {
        Ok(config) => config,
        Err(error) => {
            output.config(&error)?;
            return Ok(Exit::of_config(&error));
        }
    };
    let mut signals = Signals::listen()?;
    let resumes = config.can_reread_token() && (args.hold || args.wait.is_some() && !once);
    let client = Client::start(config);
    let deadline = args
        .wait
        .map(|wait| Instant::now() + if once { ONE_ATTEMPT } else { wait });
    let mut reached = false;
    let exit = loop {
        tokio::select! {
            biased;
            signal = signals.next() => break if args.hold { Exit::Done } else { signal },
            Some(state) = changes.recv() => {
                output.state(&state)?;
                match &state {
                    ConnectionState::Ready { .. } if !args.hold => break Exit::Done,
                    ConnectionState::Ready { .. } => reached = true,
                    ConnectionState::BackingOff { .. } if once => break Exit::Unreachable,
                    ConnectionState::Stopped { reason } => {
                        let waits_for_file = resumes && is_about_the_token(reason);
                        if !waits_for_file {
                            break Exit::of_stop(reason);
                        }
                    }
                    _ => {}
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && !reached => {
                break Exit::of_state(&client.state().borrow());
            }
        }
    };
    client.close().await;
    Ok(exit)
}

/// Whether another token in the token's file would make the client go on.
fn is_about_the_token(reason: &StopReason) -> bool {
    matches!(reason, StopReason::Refused(refusal) if refusal.kind.is_credentials())
}
