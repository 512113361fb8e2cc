//! Requests that come rarely and concern more than keys: pauses, kills, settings, snapshots, reports, sleep, and the end.

use super::client::What;
use super::rng::Rng;
use super::script::{Author, Request, Topics, ok};

/// A knob whose values change nothing that a client sees.
const TUNED: &str = "slowlog-max-len";

impl Author {
    /// Something that concerns more than keys.
    pub fn rare(&mut self, rng: &mut Rng, topics: &Topics) -> Request {
        let shares = shares(topics);
        let mut at = rng.below(shares.iter().sum());
        let which = shares.iter().position(|share| {
            let found = at < *share;
            at = at.saturating_sub(*share);
            found
        });
        let number = |n: usize| n.to_string();
        match which {
            Some(0) => {
                let mode = rng.pick(&["ALL", "WRITE"]);
                match rng.below(4) {
                    0 => Request::new(&["CLIENT", "UNPAUSE"], false, ok()),
                    _ => Request::new(&["CLIENT", "PAUSE", &number(rng.between(1, 30)), mode], false, ok()),
                }
            }
            Some(1) => {
                let victim = number(rng.between(1, 20));
                Request::new(&["CLIENT", "KILL", "ID", &victim], false, What::Anything)
            }
            Some(2) => self.configuration(rng),
            Some(3) => Request::new(&[rng.pick(&["BGSAVE", "BGSAVE", "SAVE"])], false, What::Anything),
            Some(4) => match rng.below(5) {
                4 => {
                    let victim = number(rng.between(1, 20));
                    let how = rng.pick(&["TIMEOUT", "ERROR"]);
                    Request::new(&["CLIENT", "UNBLOCK", &victim, how], false, What::Anything)
                }
                0 => Request::new(&["CLIENT", "LIST"], false, What::Anything),
                1 => Request::new(&["INFO"], false, What::Anything),
                2 => Request::new(&["SLOWLOG", "GET"], false, What::Anything),
                _ => Request::new(&["CLIENT", "INFO"], false, What::Anything),
            },
            Some(5) => {
                let secs = rng.pick(&["0", "0.002", "0.05"]);
                Request::new(&["DEBUG", "SLEEP", secs], false, ok())
            }
            _ => Request::new(&["SHUTDOWN", "SAVE"], false, What::Shutdown),
        }
    }

    fn configuration(&mut self, rng: &mut Rng) -> Request {
        let depth = rng.between(1, 20).to_string();
        let spin = rng.below(5_000).to_string();
        let value = self.unique() as u32 as u64 + ((self.client as u64 + 1) << 16);
        match rng.below(10) {
            5..=6 => Request::new(&["CONFIG", "SET", TUNED, &value.to_string()], false, What::Tune { value }),
            7..=9 => Request::new(&["CONFIG", "GET", TUNED], false, What::Tuned),
            0 => Request::new(&["CONFIG", "SET", "prefetch-depth", &depth], false, ok()),
            1 => Request::new(&["CONFIG", "SET", "take-spin-ns", &spin], false, ok()),
            2 => Request::new(&["CONFIG", "SET", "borrow", rng.pick(&["yes", "no"])], false, ok()),
            3 => Request::new(&["CONFIG", "RESETSTAT"], false, ok()),
            _ => Request::new(&["CONFIG", "REWRITE"], false, What::Anything),
        }
    }
}

/// Per thousand requests: what is rare, in the order in which [`Author::rare`] tells it apart.
pub fn shares(topics: &Topics) -> [usize; 7] {
    let Topics { pauses, kills, configs, saves, reports, naps, shutdowns, .. } = *topics;
    [pauses, kills, configs, saves, reports, naps, shutdowns]
}
