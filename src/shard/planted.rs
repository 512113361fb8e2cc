//! Bugs on purpose, one at a time: the simulation plants them to show that its checks catch them (`tests/sim/planted.rs`).
//!
//! A build without debug assertions, as every server that is shipped, has none: there each question below is a constant `false`.

use super::connections::Waits;
use super::{Core, Job};
use crate::ds::Ref;
use crate::ds::table::{Keeper, Kept, Mark};
use crate::persist::rdb::{Form, keeper};
use crate::persist::value;
use crate::resp::Out;
use crate::ring::net::{ConnId, World};
use crate::store::Value;

/// A bug that a shard has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Planted {
    #[default]
    Nothing,
    /// Jobs from homes of odd number visit the owners in descending order.
    TakenOutOfOrder,
    /// A transaction puts a store back between two of its commands.
    PutBackEarly,
    /// Commands that arrive while a job of their connection is away do not wait for it.
    RunAhead,
    /// Nobody hears that a store is back.
    NotCalled,
    /// The replies of a job are lost.
    ReplyDropped,
    /// The replies of a job come twice.
    ReplyDoubled,
    /// Who waits is served, though its wait is over.
    ServedTwice,
    /// Of those in line who came last is served first.
    LastComeFirstServed,
    /// What a large value holds behind what a snapshot has of it is taken as it is then, not as it was at the cut.
    Unguarded,
}

/// Keeps entries in a form; `unguarded` as said above.
pub(super) fn keeper_of(form: Form, unguarded: bool) -> Box<dyn Keeper<Value>> {
    if cfg!(debug_assertions) && unguarded { Box::new(Unguarded(form)) } else { keeper(form) }
}

struct Unguarded(Form);

impl Keeper<Value> for Unguarded {
    fn is_large(&self, entry: &Ref<'_, Value>) -> bool {
        self.0.is_large(entry)
    }

    fn keep(&mut self, entry: &Ref<'_, Value>, kept: &mut Kept) {
        self.0.keep(entry, kept);
    }

    fn begin(&mut self, entry: &Ref<'_, Value>, kept: &mut Kept) -> Option<Mark> {
        self.0.begin(entry, kept)
    }

    fn go_on(&mut self, entry: &Ref<'_, Value>, mark: Mark, kept: &mut Kept) -> Option<Mark> {
        self.0.go_on(entry, mark, kept)
    }

    fn guard(&mut self, _value: &mut Value, _mark: Mark) -> bool {
        true
    }

    fn collect(&mut self, value: &mut Value, mark: Mark, _at_once: bool, kept: &mut Kept) -> Option<Mark> {
        let next = value::go_on(&mut kept.bytes, value, mark, self.0.part, self.0.compress);
        (next.left > 0 && next.left < mark.left).then_some(next)
    }

    fn release(&mut self, _value: &mut Value) {}
}

impl Core {
    #[inline(always)]
    pub(super) fn planted(&self, bug: Planted) -> bool {
        cfg!(debug_assertions) && self.shared.planted == bug
    }

    /// The owner that a job visits first.
    #[inline]
    pub(super) fn first_visit(&self, job: &Job) -> Option<usize> {
        if self.planted(Planted::TakenOutOfOrder) && job.home % 2 == 1 {
            return job.need.iter().last();
        }
        job.need.next(0)
    }

    /// The owner that a job visits after this one.
    #[inline]
    pub(super) fn next_visit(&self, job: &Job, after: usize) -> Option<usize> {
        if self.planted(Planted::TakenOutOfOrder) && job.home % 2 == 1 {
            return job.need.iter().take_while(|shard| *shard < after).last();
        }
        job.need.next(after + 1)
    }

    /// Puts the first store in hand back for a moment.
    #[cold]
    pub(super) fn let_go(&mut self, net: &mut dyn World) {
        let Some(shard) = self.hand.first() else { return };
        let Some(store) = self.hand.remove(shard) else { return };
        let back = self.shared.cells[shard].put(store);
        self.room.note_back(shard, back, self.id, self.shared.cells.len());
        loop {
            net.ticks_ns();
            if let Some(store) = self.shared.cells[shard].take_as_owner() {
                return self.hand.add(store);
            }
        }
    }

    /// Runs what a connection has sent behind a job that is away.
    #[cold]
    pub(super) fn run_ahead(&mut self, net: &mut dyn World, id: ConnId) {
        let Some(conn) = self.conn(id).filter(|conn| conn.waits == Waits::Job && !conn.closing) else {
            return;
        };
        (conn.session, conn.waits) = (conn.shown.clone(), Waits::Nothing);
        self.run_input(net, id);
        if let Some(conn) = self.conn(id).filter(|conn| conn.waits == Waits::Nothing) {
            (conn.session, conn.waits) = (None, Waits::Job);
        }
    }

    /// What becomes of the replies of a job that is home.
    #[inline]
    pub(super) fn bend_replies(&self, out: &mut Out) {
        if self.planted(Planted::ReplyDropped) {
            out.clear();
        }
        if self.planted(Planted::ReplyDoubled) && out.is_plain() {
            let (replies, _) = out.take(Vec::new());
            out.raw(&replies);
            out.raw(&replies);
        }
    }
}
