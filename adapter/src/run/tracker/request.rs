//! The request that starts a run, and the connection that it goes out on.

/// The most attempts to send a request.
const MAX_SEND_ATTEMPTS: u32 = 8;

/// The delivery of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delivery {
    Unsent,
    /// The first attempt is being made.
    Sending,
    /// It went out, and nothing shows that it arrived.
    Unknown,
    /// The gateway has it.
    Accepted,
}

/// The request that starts a run.
#[derive(Debug)]
pub(super) struct RequestState {
    delivery: Delivery,
    send_attempts: u32,
}

impl RequestState {
    pub(super) const fn new(can_send: bool) -> Self {
        Self {
            delivery: if can_send {
                Delivery::Unsent
            } else {
                Delivery::Accepted
            },
            send_attempts: 0,
        }
    }

    pub(super) const fn delivery(&self) -> Delivery {
        self.delivery
    }

    pub(super) const fn is_accepted(&self) -> bool {
        matches!(self.delivery, Delivery::Accepted)
    }

    /// The gateway may have the request.
    pub(super) const fn may_have_arrived(&self) -> bool {
        matches!(self.delivery, Delivery::Unknown | Delivery::Accepted)
    }

    pub(super) const fn has_attempts_left(&self) -> bool {
        self.send_attempts < MAX_SEND_ATTEMPTS
    }

    pub(super) const fn on_send(&mut self) {
        self.send_attempts += 1;
        if matches!(self.delivery, Delivery::Unsent) {
            self.delivery = Delivery::Sending;
        }
    }

    /// An attempt did not go out.
    pub(super) const fn on_not_sent(&mut self) {
        if matches!(self.delivery, Delivery::Sending) {
            self.delivery = Delivery::Unsent;
        }
    }

    /// An attempt went out, or the gateway that had the request is another one now.
    pub(super) const fn set_unknown(&mut self) {
        self.delivery = Delivery::Unknown;
    }

    /// Records that the gateway has the request; `true` if that is new.
    pub(super) const fn accept(&mut self) -> bool {
        let is_new = !self.is_accepted();
        self.delivery = Delivery::Accepted;
        is_new
    }
}

/// The connection to the gateway.
#[derive(Debug)]
pub(super) struct Link {
    protocol: u32,
    connection: Connection,
}

#[derive(Debug)]
enum Connection {
    Down,
    /// `final_due`: the final answer to `agent` comes on this connection.
    Up {
        final_due: bool,
    },
}

impl Link {
    pub(super) const fn new(protocol: Option<u32>) -> Self {
        let (protocol, connection) = match protocol {
            Some(protocol) => (protocol, Connection::Up { final_due: false }),
            None => (4, Connection::Down),
        };
        Self {
            protocol,
            connection,
        }
    }

    pub(super) const fn protocol(&self) -> u32 {
        self.protocol
    }

    /// The gateway is of the first generation.
    pub(super) const fn is_old(&self) -> bool {
        self.protocol < 4
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.connection, Connection::Up { .. })
    }

    pub(super) const fn is_final_due(&self) -> bool {
        matches!(self.connection, Connection::Up { final_due: true })
    }

    pub(super) const fn connect(&mut self, protocol: u32) {
        self.protocol = protocol;
        self.connection = Connection::Up { final_due: false };
    }

    pub(super) const fn disconnect(&mut self) {
        self.connection = Connection::Down;
    }

    pub(super) const fn set_final_due(&mut self, due: bool) {
        if let Connection::Up { final_due } = &mut self.connection {
            *final_due = due;
        }
    }
}
