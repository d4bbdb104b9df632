//! The request that starts a run, and the connection that it goes out on.

/// The most attempts to send a request that has not gone out.
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
    /// Attempts that went out and may have arrived.
    unknown_attempts: u32,
    /// One of them went out on the latest connection.
    is_on_latest_link: bool,
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
            unknown_attempts: 0,
            is_on_latest_link: false,
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

    /// A request of unknown fate is sent once more at most.
    pub(super) const fn may_repeat_unknown(&self) -> bool {
        self.unknown_attempts <= 1 && self.has_attempts_left()
    }

    pub(super) const fn is_on_latest_link(&self) -> bool {
        self.is_on_latest_link
    }

    pub(super) const fn on_new_link(&mut self) {
        self.is_on_latest_link = false;
    }

    /// An attempt went out, and may have arrived.
    pub(super) const fn on_unknown(&mut self) {
        self.unknown_attempts += 1;
        self.is_on_latest_link = true;
        self.set_unknown();
    }

    /// The gateway that had the request is another one now.
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
    /// Closed with this code, if it was closed at all.
    Down { code: Option<u16> },
    /// `final_due`: the final answer to `agent` comes on this connection.
    Up { final_due: bool },
}

impl Link {
    pub(super) const fn new(protocol: Option<u32>) -> Self {
        let (protocol, connection) = match protocol {
            Some(protocol) => (protocol, Connection::Up { final_due: false }),
            None => (4, Connection::Down { code: None }),
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

    pub(super) const fn disconnect(&mut self, code: Option<u16>) {
        self.connection = Connection::Down { code };
    }

    /// The code of a close that the same message brings about again.
    pub(super) const fn permanent_close(&self) -> Option<u16> {
        match self.connection {
            Connection::Down {
                code: Some(code @ (1002 | 1003 | 1007 | 1009)),
            } => Some(code),
            _ => None,
        }
    }

    pub(super) const fn set_final_due(&mut self, due: bool) {
        if let Connection::Up { final_due } = &mut self.connection {
            *final_due = due;
        }
    }
}
