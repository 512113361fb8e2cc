//! When a key was last used, in 24 bits: the nearer, the finer.
//!
//! ```text
//!  11 | 22 bits    steps of 512 us, wrapping after 35 minutes    what an LRU policy with a bound writes
//!   0 | 23 bits    seconds, wrapping after 97 days               what is written otherwise
//!  10 | 22 bits    steps of 64 s, wrapping after 8 years         a key that nobody used for 48 days
//! ```
//! Why so fine: a cache that is small for its traffic turns over within milliseconds, and all its keys would seem to be of the same
//! age. Why not all of them: fine stamps come round soon. So somebody has to go through the keys and write those that have aged
//! as coarser ones ([`renewed`]), at least every [`FINE_ROUND_US`] while fine ones may be there and every [`ROUND_US`] otherwise.
//! Nothing is lost by that: idle times are compared by eighths, and told in seconds.
//!
//! Times are of the monotonic clock: when the one on the wall is set, no key becomes old or young. While the process is stopped
//! nobody renews: if it was for more than half an hour, keys last used shortly before may lack multiples of 35 minutes.
//!
//! INFO and DEBUG OBJECT tell a clock as Redis has it: [`wall_clock`].

use super::{Db, Store};
use crate::base::time::Now;
use crate::ds::ClockHand;

const SECOND_US: u64 = 1_000_000;
const FINE: Form = Form { head: 0b11 << 22, bits: 22, step_us: 512 };
const SECONDS: Form = Form { head: 0, bits: 23, step_us: SECOND_US };
const COARSE: Form = Form { head: 0b10 << 22, bits: 22, step_us: 64 * SECOND_US };

/// Keys idle for longer than this should have a stamp in seconds, or a coarse one. A second is little of that.
const FINE_MAX_US: u64 = 64 * SECOND_US;
const SECONDS_MAX_US: u64 = (SECOND_US << 23) / 2;
/// No key is idle for longer.
const IDLE_MAX_US: u64 = COARSE.range_us() / 8 * 7;
/// Within so much time all keys have to be met, where there may be fine stamps and where there are none: some times before they wrap.
pub const FINE_ROUND_US: u64 = 1 << 29;
pub const ROUND_US: u64 = 1 << 40;

const _: () = assert!(FINE_ROUND_US + FINE_MAX_US < FINE.range_us() / 3 && FINE.bits + 2 == 24);
const _: () = assert!(ROUND_US + SECONDS_MAX_US < SECONDS.range_us() / 4 * 3 && SECONDS.bits + 1 == 24);

/// One kind of stamp.
#[derive(Clone, Copy)]
struct Form {
    head: u32,
    bits: u32,
    step_us: u64,
}

impl Form {
    const fn range_us(self) -> u64 {
        self.step_us << self.bits
    }

    const fn mask(self) -> u32 {
        (1 << self.bits) - 1
    }

    #[inline]
    fn of(stamp: u32) -> Form {
        match stamp >> 22 {
            0b11 => FINE,
            0b10 => COARSE,
            _ => SECONDS,
        }
    }

    #[inline]
    fn write(self, at_us: i64) -> u32 {
        let steps = at_us.div_euclid(self.step_us as i64);
        self.head | steps as u32 & self.mask()
    }

    /// Steps from a stamp to now. Cores read the clock one after the other, so a use may seem to lie ahead: none, then.
    #[inline]
    fn steps(self, stamp: u32, now: Now) -> u64 {
        let steps = ((now.mono_us / self.step_us) as u32).wrapping_sub(stamp) & self.mask();
        if steps > self.mask() / 16 * 15 { 0 } else { u64::from(steps) }
    }
}

/// The access bits of a key that is used now.
#[inline]
pub fn stamp(now: Now, fine: bool) -> u32 {
    if fine { FINE.write(now.mono_us as i64) } else { SECONDS.write(now.mono_us as i64) }
}

/// The access bits of a key that was last used so many seconds ago: exactly up to 48 days, to 64 s beyond, and 7 years at most.
pub fn idle_since(idle_secs: u64, now: Now) -> u32 {
    idle_since_us(idle_secs.saturating_mul(SECOND_US), now)
}

fn idle_since_us(idle_us: u64, now: Now) -> u32 {
    let idle_us = idle_us.min(IDLE_MAX_US);
    let form = if idle_us <= SECONDS_MAX_US { SECONDS } else { COARSE };
    form.write(now.mono_us as i64 - idle_us as i64)
}

/// Microseconds since a key with these access bits was used, as far as they tell.
#[inline]
pub fn idle_us(stamp: u32, now: Now) -> u64 {
    let form = Form::of(stamp);
    form.steps(stamp, now) * form.step_us
}

/// Seconds since a key with these access bits was used. A step is not worth a second: after three whole ones it says 3.
pub fn idle_secs(stamp: u32, now: Now) -> u64 {
    (idle_us(stamp, now) + FINE.step_us) / SECOND_US
}

/// The same at an earlier time, for a snapshot that tells of it: a key that was used since was in use. Fine stamps have more room ahead than
/// [`idle_us`] gives them, since they are renewed before a third of their range is over; so this holds for 17 minutes.
pub fn idle_secs_then(stamp: u32, then: Now) -> u64 {
    let is_ahead = Form::of(stamp).head == FINE.head && idle_us(stamp, then) > FINE.range_us() / 2;
    if is_ahead { 0 } else { idle_secs(stamp, then) }
}

/// What a stamp that has aged is to be replaced by.
#[inline]
pub fn renewed(stamp: u32, now: Now) -> Option<u32> {
    let idle_us = idle_us(stamp, now);
    let aged = match Form::of(stamp).head {
        head if head == FINE.head => idle_us > FINE_MAX_US,
        head if head == SECONDS.head => idle_us > SECONDS_MAX_US,
        // It stays as old as can be told.
        _ => idle_us > IDLE_MAX_US,
    };
    aged.then(|| idle_since_us(idle_us, now))
}

/// Redis's clock of uses, 24 bits of the seconds since 1970, as it was so many seconds ago.
pub fn wall_clock(now: Now, idle_secs: u64) -> u32 {
    (now.secs() as u32).wrapping_sub(idle_secs as u32) & 0xff_ffff
}

/// A round has so many parts.
pub const ROUND_PARTS: u64 = 1 << 16;

/// How far a database has been renewed.
#[derive(Default)]
pub(super) struct Renewal {
    hand: ClockHand,
    /// Where the hand should be.
    due: u64,
}

impl Renewal {
    /// So much more is due; how much in all. More than a round never is.
    fn owe(&mut self, parts: u64) -> u64 {
        self.due = (self.due + parts).clamp(self.hand.position(), self.hand.position() + ROUND_PARTS);
        self.due
    }
}

impl Db {
    fn renew_stamps(&mut self, now: Now, parts: u64, buckets: usize) {
        let (table, renewal) = self.for_renewal();
        let due = renewal.owe(if table.is_empty() { 0 } else { parts });
        for _ in 0..buckets {
            if renewal.hand.position() >= due {
                return;
            }
            table.sweep(&mut renewal.hand, 1, false, &mut |entry| {
                if let Some(stamp) = renewed(entry.access(), now) {
                    entry.set_access(stamp);
                }
                false
            });
        }
    }
}

impl Store {
    /// Renews the stamps of so many more parts of a round ([`ROUND_PARTS`]), and what is left over of earlier calls: up to so many
    /// buckets of every database.
    pub fn renew_stamps(&mut self, now: Now, parts: u64, buckets: usize) {
        self.dbs.iter_mut().for_each(|(_, db)| db.renew_stamps(now, parts, buckets));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::ds::Payload;

    const HOUR_US: u64 = 3_600 * SECOND_US;
    const DAY_US: u64 = 24 * HOUR_US;
    const YEAR_US: u64 = 365 * DAY_US;

    fn at(mono_us: u64) -> Now {
        Now { wall_us: 0, mono_us }
    }

    fn is_fine(stamp: u32) -> bool {
        Form::of(stamp).head == FINE.head
    }

    /// Against a key that remembers its last use exactly: uses, restores, and rounds of renewal, as far apart as is allowed.
    #[test]
    fn a_stamp_tells_what_a_longer_one_would() {
        let mut random = seeded(3);
        let mut draw = |below: u64| xorshift(&mut random) % below;
        for run in 0..200 {
            // Some start close to where a form of stamps comes round.
            let start = [0, FINE.range_us(), SECONDS.range_us(), COARSE.range_us()][run % 4];
            let mut now_us = start.saturating_sub(draw(SECOND_US)) + draw(3);
            let (mut last_us, mut met_us) = (now_us as i64, now_us);
            let mut access = stamp(at(now_us), run % 2 == 0);
            for _ in 0..400 {
                let round = if is_fine(access) { FINE_ROUND_US } else { ROUND_US };
                now_us += [1 + draw(5_000), draw(SECOND_US), draw(round)][draw(3) as usize];
                now_us = now_us.min(met_us + round);
                let now = at(now_us);
                match draw(40) {
                    0 => {
                        access = stamp(now, draw(2) == 0);
                        (last_us, met_us) = (now_us as i64, now_us);
                    }
                    1 => {
                        let idle_secs = draw(5 * 365 * 86_400) >> draw(28);
                        access = idle_since(idle_secs, now);
                        (last_us, met_us) = (now_us as i64 - (idle_secs * SECOND_US) as i64, now_us);
                    }
                    _ => {}
                }
                let idle = (now_us as i64 - last_us) as u64;
                let known = idle_us(access, now);
                let most = match idle {
                    _ if is_fine(access) => 512,
                    _ if idle + 2 * SECOND_US < SECONDS_MAX_US => SECOND_US + 1_000,
                    _ => 66 * SECOND_US,
                };
                assert!(
                    known.min(IDLE_MAX_US).abs_diff(idle.min(IDLE_MAX_US)) <= most,
                    "{idle} us, told as {known} ({access:x})"
                );
                if now_us == met_us + round || draw(4) == 0 {
                    access = renewed(access, now).unwrap_or(access);
                    met_us = now_us;
                }
            }
        }
    }

    #[test]
    fn a_key_that_nobody_uses_for_years_stays_the_oldest() {
        let mut now_us = 5 * SECOND_US;
        let (began_us, mut access) = (now_us, stamp(at(now_us), true));
        while now_us < 20 * YEAR_US {
            now_us += if is_fine(access) { FINE_ROUND_US } else { ROUND_US };
            access = renewed(access, at(now_us)).unwrap_or(access);
            let idle_us = idle_us(access, at(now_us));
            let true_us = (now_us - began_us).min(IDLE_MAX_US);
            assert!(
                idle_us + 66 * SECOND_US >= true_us && idle_us <= true_us + ROUND_US,
                "{idle_us} {true_us}"
            );
        }
        assert!(idle_us(access, at(now_us)) > 7 * YEAR_US);
    }

    #[test]
    fn restored_idle_times_are_told_again() {
        for now_us in [1, 3 * DAY_US, 100 * YEAR_US] {
            let now = at(now_us);
            for secs in [0, 1, 10, 1_000, 86_400, 40 * 86_400] {
                assert_eq!(idle_secs(idle_since(secs, now), now), secs);
            }
            let year = YEAR_US / SECOND_US;
            assert!(idle_secs(idle_since(year, now), now).abs_diff(year) <= 64);
            let most = idle_secs(idle_since(u64::MAX, now), now);
            assert!(most > 7 * year && idle_secs(idle_since(9 * year, now), now) == most);
        }
    }

    #[test]
    fn a_snapshot_tells_idle_times_of_its_instant() {
        let then = at(7 * HOUR_US);
        for is_fine in [true, false] {
            for later_us in [1_000, SECOND_US, 3 * 60 * SECOND_US, 16 * 60 * SECOND_US] {
                assert_eq!(
                    idle_secs_then(stamp(at(then.mono_us + later_us), is_fine), then),
                    0,
                    "{later_us}"
                );
            }
            let before = at(then.mono_us - 600 * SECOND_US);
            assert_eq!(idle_secs_then(stamp(before, is_fine), then), 600);
        }
        assert_eq!(idle_secs_then(idle_since(90_000, then), then), 90_000);
    }

    #[test]
    fn uses_a_millisecond_apart_differ_and_those_ahead_are_new() {
        let now = at(7 * HOUR_US);
        let ages = [0, 1_000, 2_000, 50_000, SECOND_US, 60 * SECOND_US];
        let told: Vec<u64> =
            ages.iter().map(|age| idle_us(stamp(at(now.mono_us - age), true), now)).collect();
        assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
        for (ahead_us, is_fine) in [(700, true), (90 * SECOND_US, true), (SECOND_US, false), (HOUR_US, false)]
        {
            assert_eq!(idle_us(stamp(at(now.mono_us + ahead_us), is_fine), now), 0);
        }
        assert_eq!(renewed(stamp(at(now.mono_us + SECOND_US), true), now), None);
    }

    /// Keys that nobody uses keep their age while rounds go over them, and while others come and go.
    #[test]
    fn rounds_meet_every_key_of_every_database() {
        const KEYS: u64 = 3_000;
        const SLICE_US: u64 = 100_000_000;
        let mut store = Store::new(0, 3, 7);
        let put = |store: &mut Store, db: usize, n: u64, access: u32| {
            let table = store.db_mut(db).table_mut();
            let key = n.to_be_bytes();
            let (entry, ..) = table.upsert_mut(table.hash(&key), &key, Payload::Int(0), None);
            entry.set_access(access);
        };
        let mut now_us = 9 * SECOND_US;
        (0..KEYS).for_each(|n| put(&mut store, n as usize % 2, n, stamp(at(now_us), true)));
        let began_us = now_us;
        while now_us < began_us + 5 * HOUR_US {
            now_us += SLICE_US;
            store.renew_stamps(at(now_us), SLICE_US * ROUND_PARTS / FINE_ROUND_US, 1_000);
            let turn = now_us / SLICE_US;
            for n in 0..50 {
                put(&mut store, 0, KEYS + n + turn % 4 * 50, stamp(at(now_us), true));
                let table = store.db_mut(0).table_mut();
                let key = (KEYS + n + (turn + 1) % 4 * 50).to_be_bytes();
                table.get_mut(table.hash(&key), &key).map(crate::ds::Mut::delete);
            }
        }
        let old = |db| {
            store.db(db).table().iter().filter(|e| e.key() < &KEYS.to_be_bytes()[..]).collect::<Vec<_>>()
        };
        let met: Vec<_> = (0..2).flat_map(old).map(|e| idle_us(e.access(), at(now_us))).collect();
        assert_eq!(met.len() as u64, KEYS);
        let true_us = now_us - began_us;
        assert!(met.iter().all(|us| us.abs_diff(true_us) <= 2 * SECOND_US), "{true_us} {met:?}");
    }

    #[test]
    fn the_clock_on_the_wall_does_not_matter() {
        let then = Now { wall_us: 1_800_000_000_000_000, mono_us: 50 * SECOND_US };
        for wall_us in [i64::MIN, 0, then.wall_us - 900 * SECOND_US as i64, i64::MAX] {
            let now = Now { wall_us, mono_us: then.mono_us + 3 * SECOND_US };
            assert_eq!((idle_secs(stamp(then, true), now), idle_secs(stamp(then, false), now)), (3, 3));
        }
        assert_eq!(wall_clock(then, 100), 1_799_999_900 & 0xff_ffff);
    }
}
