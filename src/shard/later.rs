//! What Redis does beside a rewrite of its log, which a child makes, and what here has to wait until the rewrite is over: SAVE, since
//! there is one walk at a time, and DEBUG LOADAOF while the log has no base yet. Nobody is told that it cannot be.

use super::Core;
use super::saves::Waiter;
use crate::cmd::Order;
use crate::ring::net::World;

impl Core {
    /// The client waits on. (There is one such order for each that waits at most.)
    pub(super) fn do_later(&mut self, waiter: Waiter, order: Order) {
        self.saver.later.push((waiter, order));
    }

    /// Nothing is under way: who has waited asks again.
    pub(super) fn ask_again(&mut self, net: &mut dyn World) {
        for (waiter, order) in std::mem::take(&mut self.saver.later) {
            self.save_asked(net, waiter, order);
        }
    }
}
