//! A large argument on its way in: the driver receives the rest of it into the buffer that its request is in, so that it is copied
//! nowhere, and SET may keep it there ([`crate::store::Lent`]).
//!
//! The buffer comes back with every piece that has arrived, for the limits to be looked at and CLIENT LIST to be true; meanwhile
//! the connection has nothing to run, since what is with the driver ends within a request. Buffers are handed over once a turn:
//! what has arrived before is in them then.

use super::Core;
use super::connections::{Conn, Input};
use super::drive::Stop;
use crate::cmd::Report;
use crate::resp::{Parser, Span};
use crate::ring::net::{ConnId, World};
use crate::store::Lent;

impl Core {
    /// Notes a connection of whose request more than a little may be missing.
    pub(super) fn note_missing(&mut self, id: ConnId) {
        if self.conn(id).and_then(|conn| may_fill(id, conn)).is_some() {
            self.to_fill.push(id);
        }
    }

    /// Hands the driver the buffers of requests that are to become much longer.
    pub(super) fn fill(&mut self, net: &mut dyn World) {
        let least = net.fill_from();
        let mut ids = std::mem::take(&mut self.to_fill);
        for id in ids.drain(..) {
            let input = self.conn(id).and_then(|conn| may_fill(id, conn));
            if let Some(input) = input.filter(|input| input.is_straight || input.missing() >= least) {
                let (buf, until) = input.lend();
                self.count_client(id);
                net.fill(id, buf, until);
            }
        }
        self.to_fill = ids;
    }

    /// The driver gives a buffer back, in which so many bytes have come.
    pub fn received(&mut self, net: &mut dyn World, id: ConnId, buf: Vec<u8>, came: usize) {
        let Some(input) = self.count_arrival(id, came).and_then(|conn| conn.input.as_mut()) else { return };
        (input.buf, input.filling) = (buf, None);
        // However little is left of it comes the same way: else the next one's receive would have to be cancelled again.
        input.is_straight = input.missing() > 0;
        self.run_arrived(net, id);
        if came > 0 {
            // Else the end is told next.
            self.note_missing(id);
        }
    }

    /// The same as [`Core::run`], of requests in which a command may leave what it stores.
    pub(super) fn run_lent(
        &mut self,
        net: &mut dyn World,
        id: ConnId,
        lent: &Lent,
        state: (usize, Parser),
        partial: &mut Vec<Span>,
        reports: Option<Vec<Report>>,
    ) -> Option<(Stop, usize, Parser)> {
        let lend = |core: &mut Core, lent: Option<Box<Lent>>| {
            if let Some(session) = core.conn(id).and_then(|conn| conn.session.as_mut()) {
                session.lent = lent;
            }
        };
        lend(self, Some(Box::new(lent.clone())));
        let ran = self.run(net, id, lent, state, partial, reports);
        lend(self, None);
        ran
    }
}

/// The request that may be received straight: one that has begun, with all before it done.
fn may_fill(id: ConnId, conn: &mut Conn) -> Option<&mut Input> {
    let waits = conn.in_ready || conn.recv_paused || conn.eof || !conn.may_run() || id.is_stream();
    conn.input.as_deref_mut().filter(|input| !waits && input.missing() > 0)
}
