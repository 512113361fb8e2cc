//! MIGRATE between its steps: what another server is asked, and what it has answered.
//!
//! ```text
//!  run: keys are dumped and locked ─> Outcome::Consult ─> the request goes to a thread that may wait; the client waits at home
//!  the answer ─> run again, with the same arguments ─> what has arrived is deleted, all keys are unlocked: the reply
//! ```
//! The session carries the state, so that the command runs wherever its stores are. While keys are locked everybody else who names
//! one waits ([`crate::store::Store::lock`]), so all see MIGRATE at one instant: before it the key is here, after it there.

use crate::resp::Error;

/// A MIGRATE under way.
#[derive(Clone, Debug)]
pub struct Migration {
    pub state: State,
    /// The keys that are sent, in order. They are locked for this client unless they are `copied` only.
    pub keys: Vec<Box<[u8]>>,
    pub copied: bool,
    /// The client is gone, or shall be: the connection is closed, without a reply, when its keys are here or there.
    pub doomed: bool,
    /// When it ran first, on the monotonic clock.
    pub began_us: u64,
}

/// How far it is.
#[derive(Clone, Debug)]
pub enum State {
    /// This is to be asked.
    Asks(Box<Request>),
    /// It is being asked.
    Waits,
    /// This was answered.
    Told(Answer),
}

/// Keys for another server.
#[derive(Clone, Debug)]
pub struct Request {
    pub host: Vec<u8>,
    pub port: Vec<u8>,
    /// How long each step may take: to connect, to send a piece, to hear a reply.
    pub timeout_ms: u64,
    /// A password, with the user's name before it if there is one.
    pub auth: Vec<Vec<u8>>,
    /// The database there, which that server checks.
    pub db: i64,
    pub replace: bool,
    pub parcels: Vec<Parcel>,
}

/// A key for another server.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub key: Box<[u8]>,
    /// Unix ms.
    pub expire_at: Option<i64>,
    /// As DUMP gives it.
    pub payload: Vec<u8>,
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// For each parcel, whether the other server has said that it has it.
    pub arrived: Vec<bool>,
    pub trouble: Option<Trouble>,
}

/// The first thing that went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    Connect,
    Write,
    Read,
    /// The other server replied with an error: its text without the `-`.
    Target(Vec<u8>),
}

impl Migration {
    /// Whether another server is still to be asked.
    pub fn asks(&self) -> bool {
        matches!(self.state, State::Asks(_))
    }

    /// What is to be asked, once.
    pub fn take_request(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.state, State::Waits) {
            State::Asks(request) => Some(*request),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The answer, once.
    pub fn take_answer(&mut self) -> Answer {
        match std::mem::replace(&mut self.state, State::Waits) {
            State::Told(answer) => answer,
            State::Asks(_) | State::Waits => Answer::default(),
        }
    }
}

impl Trouble {
    /// What the client hears.
    pub fn error(&self) -> Error {
        match self {
            Trouble::Connect => Error::text_of("IOERR error or timeout connecting to the client"),
            Trouble::Write => Error::text_of("IOERR error or timeout writing to target instance"),
            Trouble::Read => Error::text_of("IOERR error or timeout reading to target instance"),
            Trouble::Target(text) => Error::quote("ERR Target instance replied with error: ", text, ""),
        }
    }
}
