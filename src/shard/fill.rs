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
                self.assert_empty_handed();
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

/// The request that may be received straight: one that has begun, with all before it done. Of any other the next piece comes as
/// ever, whatever came before.
fn may_fill(id: ConnId, conn: &mut Conn) -> Option<&mut Input> {
    let waits = conn.in_ready || conn.recv_paused || conn.eof || !conn.may_run() || id.is_stream();
    let input = conn.input.as_deref_mut()?;
    let may = !waits && input.missing() > 0;
    input.is_straight &= may;
    may.then_some(input)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Nobody;
    use super::super::{Peer, Shared};
    use super::*;
    use crate::base::time::Now;
    use crate::cmd::ServerInfo;
    use crate::config::Config;
    use crate::ring::net::{Chunk, Net};
    use std::sync::Arc;

    /// A driver to which it pays from 1,000 bytes on, and the buffer that it has.
    #[derive(Default)]
    struct Straw {
        buf: Option<Vec<u8>>,
    }

    impl Net for Straw {
        fn send(&mut self, _conn: ConnId, _chunk: Chunk) {}
        fn fill_from(&self) -> usize {
            1_000
        }
        fn fill(&mut self, _conn: ConnId, buf: Vec<u8>, _until: usize) {
            self.buf = Some(buf);
        }
        fn pause_recv(&mut self, _conn: ConnId) {}
        fn resume_recv(&mut self, _conn: ConnId) {}
        fn close(&mut self, _conn: ConnId) {}
        fn wake(&mut self, _shard: usize) {}
    }

    impl World for Straw {
        fn ticks_ns(&self) -> u64 {
            0
        }
        fn sleep_us(&mut self, _us: u64) {}
    }

    const CONN: ConnId = ConnId(1 << 32);

    /// A core with a connection of which this has arrived.
    fn begun(bytes: &[u8]) -> (Core, Straw) {
        let info = ServerInfo { shards: 1, ..ServerInfo::default() };
        let config = Config { save: crate::config::SavePoints(vec![]), ..Config::default() };
        let shared = Arc::new(Shared::new(info, 4, 7, Box::new(Nobody)));
        let now = Now { wall_us: 1_700_000_000_000_000, mono_us: 1_000_000 };
        let (mut core, mut straw) = (Core::new(0, shared, Arc::new(config), now), Straw::default());
        let name: Arc<str> = "client".into();
        core.open(CONN, Peer { addr: name.clone(), laddr: name, fd: 1, unix: false, local: true });
        core.data(&mut straw, CONN, bytes);
        core.work(&mut straw);
        (core, straw)
    }

    /// The driver gives the buffer back with so many bytes more.
    fn receive(core: &mut Core, straw: &mut Straw, came: usize) {
        let mut buf = straw.buf.take().expect("it was given one");
        buf.resize(buf.len() + came, b'v');
        core.received(straw, CONN, buf, came);
    }

    #[test]
    fn the_last_of_an_argument_comes_as_the_rest_did_and_the_next_one_is_judged_anew() {
        let head = |len: usize| format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${len}\r\n").into_bytes();
        for is_paused in [false, true] {
            let (mut core, mut straw) = begun(&head(5_000));
            receive(&mut core, &mut straw, 4_990);
            if is_paused {
                core.conn(CONN).expect("open").recv_paused = true;
            }
            core.work(&mut straw);
            assert_eq!(straw.buf.is_some(), !is_paused);
            if !is_paused {
                continue;
            }
            core.conn(CONN).expect("open").recv_paused = false;
            core.data(&mut straw, CONN, &[&b"vvvvvvvvvv\r\n"[..], &head(500), b"v"].concat());
            core.work(&mut straw);
            assert!(straw.buf.is_none(), "little of it is missing");
        }
    }
}
