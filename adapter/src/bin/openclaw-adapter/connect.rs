//! `openclaw-adapter connect`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::{Client, ConfigBuilder, ConnectionState, PairingPolicy, StopReason};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::args::Connect;
use crate::countdown::Countdown;
use crate::exit::Exit;
use crate::output::Output;
use crate::setup::{Signals, is_about_the_token};

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
    let limit = if once { Some(ONE_ATTEMPT) } else { args.wait };
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut countdown = Countdown::new(output, deadline);
    let mut reached = false;
    let exit = loop {
        tokio::select! {
            biased;
            // Holding is done as soon as there was something to hold.
            signal = signals.next() => break if reached { Exit::Done } else { signal },
            Some(state) = changes.recv() => {
                if once && let ConnectionState::BackingOff { cause, .. } = &state {
                    // The state would promise another attempt.
                    output.unreachable(&cause.to_string())?;
                    break Exit::Unreachable;
                }
                output.state(&state)?;
                countdown.follow(&state);
                match &state {
                    ConnectionState::Ready { .. } if !args.hold => break Exit::Done,
                    ConnectionState::Ready { .. } => reached = true,
                    ConnectionState::Stopped { reason, .. } => {
                        let waits_for_file = resumes && is_about_the_token(reason);
                        if !waits_for_file {
                            break Exit::of_stop(reason);
                        }
                    }
                    _ => {}
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && !reached => {
                let state = client.state().borrow().clone();
                too_late(output, &state, limit.unwrap_or_default())?;
                break Exit::of_state(&state);
            }
            () = countdown.run() => {}
        }
    };
    drop(countdown);
    client.close().await;
    Ok(exit)
}

/// Says what stood in the way when the time was over.
fn too_late(output: Output, state: &ConnectionState, limit: Duration) -> io::Result<()> {
    match state {
        ConnectionState::AwaitingApproval { pairing, .. } => {
            let reason = StopReason::PairingNotApproved(Arc::clone(pairing));
            output.stopped(reason.kind(), &reason.to_string(), &reason.fix())
        }
        ConnectionState::BackingOff { cause, .. } => {
            output.unreachable(&format!("not ready within {limit:?}: {cause}"))
        }
        ConnectionState::Connecting { .. } => {
            output.unreachable(&format!("no answer from the gateway within {limit:?}"))
        }
        // Ready, or stopped for a reason that was said already.
        _ => Ok(()),
    }
}
