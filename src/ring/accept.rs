//! Multishot accept: one entry, and a completion per connection until the kernel ends it.
//!
//! Out of descriptors (`EMFILE`, `ENFILE`) or memory, accepting again at once would fail again at once, forever: the
//! listener rests for [`PAUSE`], while the kernel's backlog keeps the callers.

use super::net::Event;
use super::ops::{self, Done};
use super::ring::{Ring, Wait};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long a listener rests after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket. Its number is its place in the ring's list, for good.
pub struct Listener {
    /// Taken when it is closed.
    fd: Option<OwnedFd>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Armed,
    Resting(Instant),
    /// To be closed; who comes before the kernel has let go of it is let in.
    Leaving,
    /// Stopped; the last completion may be due.
    Stopping,
}

impl Listener {
    pub fn is_closed(&self) -> bool {
        self.fd.is_none()
    }
}

impl Ring {
    /// Accepts from a listening socket; returns its number in [`Event::Accepted`].
    pub fn listen(&mut self, fd: OwnedFd) -> usize {
        let number = self.listeners.len();
        self.push(ops::accept(fd.as_raw_fd(), number));
        self.listeners.push(Listener { fd: Some(fd), state: State::Armed });
        number
    }

    /// Stops accepting on one listener, and closes it when the kernel has let go of it. Its number is not used again.
    pub fn unlisten(&mut self, number: usize) {
        match self.listeners[number].state {
            State::Armed => self.push(ops::cancel_accept(number)),
            State::Resting(_) => self.listeners[number].fd = None,
            State::Leaving | State::Stopping => return,
        }
        self.listeners[number].state = State::Leaving;
    }

    /// Stops accepting on all listeners. They are closed when the kernel has let go of them: see [`Ring::drained`].
    pub fn stop_listening(&mut self) {
        for number in 0..self.listeners.len() {
            let listener = &mut self.listeners[number];
            match listener.state {
                State::Armed => self.push(ops::cancel_accept(number)),
                State::Resting(_) => listener.fd = None,
                State::Leaving | State::Stopping => {}
            }
            self.listeners[number].state = State::Stopping;
        }
    }

    /// Arms listeners that have rested enough; `wait` is cut to the end of the shortest rest.
    #[inline]
    pub(super) fn resume_accepting(&mut self, wait: Wait) -> Wait {
        // A shard has a handful of listeners, most have none.
        if self.listeners.iter().all(|l| !matches!(l.state, State::Resting(_))) {
            return wait;
        }
        self.resume_accepting_at(Instant::now(), wait)
    }

    #[cold]
    fn resume_accepting_at(&mut self, now: Instant, mut wait: Wait) -> Wait {
        for number in 0..self.listeners.len() {
            let State::Resting(until) = self.listeners[number].state else { continue };
            if until <= now {
                self.arm_accept(number);
            } else if let Wait::For(limit) = wait {
                wait = Wait::For(limit.min(until - now));
            }
        }
        wait
    }

    fn arm_accept(&mut self, number: usize) {
        let listener = &mut self.listeners[number];
        let Some(fd) = &listener.fd else { return };
        listener.state = State::Armed;
        let entry = ops::accept(fd.as_raw_fd(), number);
        self.push(entry);
    }

    pub(super) fn on_accept(&mut self, done: Done) -> Option<Event> {
        let number = done.index();
        // SAFETY: a result that is no error is a new descriptor, which nobody else owns.
        let accepted = (done.result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(done.result) });
        let stopping = self.listeners[number].state == State::Stopping;
        if stopping {
            if !done.more() {
                self.listeners[number].fd = None;
            }
            return None; // and hangs up on whom it accepted
        }
        let event = match (accepted, -done.result) {
            (Some(fd), _) => Some(Event::Accepted { listener: number, fd }),
            // The caller hung up in the queue, or the accept was merely interrupted.
            (None, libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::ECANCELED | libc::EPROTO) => None,
            (None, errno) => {
                if !done.more() && self.listeners[number].state == State::Leaving {
                    self.listeners[number].fd = None;
                    return None;
                }
                if !done.more() {
                    self.listeners[number].state = State::Resting(Instant::now() + PAUSE);
                    return Some(Event::AcceptFailed { listener: number, errno });
                }
                Some(Event::AcceptFailed { listener: number, errno })
            }
        };
        if !done.more() {
            match self.listeners[number].state {
                State::Leaving => self.listeners[number].fd = None,
                _ => self.arm_accept(number),
            }
        }
        event
    }
}
