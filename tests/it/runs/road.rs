//! A road between a client and a mock gateway, frame by frame, that is cut where a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use openclaw_adapter::{Client, Config, Connecting, Connection, Connector, MemoryStore, Token};
use openclaw_mock_gateway::{Locality, MockGateway};
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Where one connection is cut. Frames are counted from 0 after hello-ok.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cut {
    /// In place of this frame of the gateway's.
    Down(usize),
    /// In place of the client's first request of this method.
    Up(&'static str),
    /// As [`Down`](Self::Down), and no other connection is made for this time.
    Outage(usize, Duration),
    /// The client's first request of this method is answered by a close with this code.
    Close(&'static str, u16),
    /// Not cut: in the gateway's frames, the first text stands as the second one.
    Rewrite(&'static str, &'static str),
}

/// What the next connections will meet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Road(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cuts: VecDeque<Cut>,
    /// How many cuts were made.
    made: usize,
    down_until: Option<Instant>,
}

impl Road {
    pub(crate) fn cut(&self, cut: Cut) {
        self.0.lock().unwrap().cuts.push_back(cut);
    }

    pub(crate) fn made(&self) -> usize {
        self.0.lock().unwrap().made
    }

    /// A client at the other end of it.
    pub(crate) fn client(&self, gateway: &Arc<MockGateway>) -> Client {
        let config = Config::builder()
            .url("ws://127.0.0.1:18789")
            .token(Token::new(gateway.token()).unwrap())
            .store(MemoryStore::new())
            .capabilities(["tool-events"])
            .connector(Via {
                road: self.clone(),
                gateway: Arc::clone(gateway),
            })
            .build()
            .unwrap();
        Client::start(config)
    }
}

#[derive(Debug)]
struct Via {
    road: Road,
    gateway: Arc<MockGateway>,
}

impl Connector for Via {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let down_until = self.road.0.lock().unwrap().down_until;
            if down_until.is_some_and(|until| Instant::now() < until) {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(self.gateway.serve(far, Locality::Local));
            let road = self.road.clone();
            tokio::spawn(async move {
                let cut = road.0.lock().unwrap().cuts.pop_front();
                match relay(theirs, near, cut.as_ref()).await {
                    Way::Cut => {
                        let mut state = road.0.lock().unwrap();
                        state.made += 1;
                        if let Some(Cut::Outage(_, time)) = cut {
                            state.down_until = Some(Instant::now() + time);
                        }
                    }
                    // The cut is for a connection that comes as far as hello-ok.
                    Way::Refused => road.0.lock().unwrap().cuts.extend(cut),
                    Way::Ended => {}
                }
            });
            Ok(Box::new(ours) as Box<dyn Connection>)
        })
    }
}

/// How a connection went.
enum Way {
    Refused,
    Ended,
    Cut,
}

/// Carries frames both ways.
async fn relay(client: DuplexStream, gateway: DuplexStream, cut: Option<&Cut>) -> Way {
    let Ok(mut client) = tokio_tungstenite::accept_async(client).await else {
        return Way::Refused;
    };
    let Ok((mut gateway, _)) =
        tokio_tungstenite::client_async("ws://127.0.0.1:18789/", gateway).await
    else {
        return Way::Refused;
    };
    let mut down: Option<usize> = None;
    let over = |down: Option<usize>| match down {
        None => Way::Refused,
        Some(_) => Way::Ended,
    };
    loop {
        tokio::select! {
            message = gateway.next() => {
                let Some(Ok(mut message)) = message else { return over(down) };
                if let (Message::Text(text), Some(Cut::Rewrite(from, to))) = (&message, cut) {
                    message = Message::text(text.replace(from, to));
                }
                if let Some(count) = &mut down
                    && message.is_text()
                {
                    match cut {
                        Some(Cut::Down(frame) | Cut::Outage(frame, _)) if frame == count => {
                            return Way::Cut;
                        }
                        _ => {}
                    }
                    *count += 1;
                }
                let is_hello = matches!(&message, Message::Text(text) if text.contains("hello-ok"));
                if client.send(message).await.is_err() {
                    return over(down);
                }
                if is_hello {
                    down = Some(0);
                }
            }
            message = client.next() => {
                let Some(Ok(message)) = message else { return over(down) };
                if let Some(Cut::Up(method) | Cut::Close(method, _)) = cut
                    && let Message::Text(text) = &message
                    && text.contains(&format!("\"method\":\"{method}\""))
                {
                    if let Some(Cut::Close(_, code)) = cut {
                        let (code, reason) = ((*code).into(), "no".into());
                        let _ = client.close(Some(CloseFrame { code, reason })).await;
                        while let Some(Ok(_)) = client.next().await {}
                    }
                    return Way::Cut;
                }
                if gateway.send(message).await.is_err() {
                    return over(down);
                }
            }
        }
    }
}
