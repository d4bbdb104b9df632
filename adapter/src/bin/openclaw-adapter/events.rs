//! `openclaw-adapter events`: prints the events of the gateway.

use std::borrow::Cow;
use std::io;

use openclaw_adapter::{
    Client, ConfigBuilder, ConnectionState, Event, EventFilter, EventItem, ResyncReason,
};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::args::Events;
use crate::countdown::Countdown;
use crate::exit::Exit;
use crate::output::{Output, plain, printable};
use crate::setup::{Signals, is_about_the_token};

/// A line of `events --json`.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Event {
        event: &'a str,
        payload: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    Lagged {
        lagged: u64,
    },
    Gap {
        gap: Gap,
    },
    Resync {
        resync: &'a str,
    },
}

#[derive(Serialize)]
struct Gap {
    expected: u64,
    got: u64,
}

pub(crate) async fn run(builder: ConfigBuilder, args: &Events, output: Output) -> io::Result<Exit> {
    let (states, mut changes) = mpsc::unbounded_channel();
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
    let resumes = config.can_reread_token();
    let client = Client::start(config);
    let mut events = client.events_where(EventFilter::named(&args.event));
    let mut countdown = Countdown::new(output, None);
    let mut reached = false;
    let exit = loop {
        tokio::select! {
            biased;
            // Before the first connection nothing is done yet.
            signal = signals.next() => break if reached { Exit::Done } else { signal },
            Some(state) = changes.recv() => {
                output.state(&state)?;
                countdown.follow(&state);
                reached |= state.is_ready();
                if let ConnectionState::Stopped { reason, .. } = &state
                    && !(resumes && is_about_the_token(reason))
                {
                    break Exit::of_stop(reason);
                }
            }
            item = events.next() => match item {
                Some(item) => print(output, &item)?,
                None => break Exit::ConnectionLost,
            },
            () = countdown.run() => {}
        }
    };
    drop(countdown);
    client.close().await;
    Ok(exit)
}

fn print(output: Output, item: &EventItem) -> io::Result<()> {
    match item {
        EventItem::Event(event) => event_line(output, event),
        EventItem::Lagged(lagged) => output.print(&Line::Lagged { lagged: *lagged }, || {
            format!("-- {lagged} events dropped here: this program was too slow")
        }),
        EventItem::Gap { expected, got, .. } => {
            let gap = Gap {
                expected: *expected,
                got: *got,
            };
            output.print(&Line::Gap { gap }, || {
                format!("-- events {expected} to {} dropped by the gateway", got - 1)
            })
        }
        EventItem::Resync(reason) => {
            let resync = match reason {
                ResyncReason::GatewayRestarted => "gateway-restarted",
                _ => "reconnected",
            };
            output.print(&Line::Resync { resync }, || {
                format!("-- {resync}: what came in between is lost")
            })
        }
        // Something of a later version of the library.
        _ => Ok(()),
    }
}

fn event_line(output: Output, event: &Event) -> io::Result<()> {
    let payload = event.raw_payload().map(on_one_line).transpose()?;
    let payload = payload.as_deref();
    let line = Line::Event {
        event: event.name(),
        payload,
        seq: event.seq(),
    };
    output.print(&line, || {
        let payload = payload.map_or("", RawValue::get);
        format!("{} {}", plain(event.name()), printable(payload))
    })
}

/// Gateways write without line breaks; should one not, a line here is still one object.
fn on_one_line(raw: &RawValue) -> io::Result<Cow<'_, RawValue>> {
    if !raw.get().contains(['\n', '\r']) {
        return Ok(Cow::Borrowed(raw));
    }
    // In a string they are escaped, so these stand between values, however deep.
    let line = raw.get().replace(['\n', '\r'], " ");
    Ok(Cow::Owned(RawValue::from_string(line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_with_line_breaks_becomes_one_line() {
        let raw = RawValue::from_string("{\n  \"a\": 1\r\n}".to_owned()).unwrap();
        assert_eq!(on_one_line(&raw).unwrap().get(), r#"{   "a": 1  }"#);
        let deep = format!("{}\n{}", "[".repeat(1_000), "]".repeat(1_000));
        let raw = RawValue::from_string(deep).unwrap();
        assert!(!on_one_line(&raw).unwrap().get().contains('\n'));
        let raw = RawValue::from_string(r#"{"b":1,"a":2}"#.to_owned()).unwrap();
        assert_eq!(on_one_line(&raw).unwrap().get(), raw.get());
    }
}
