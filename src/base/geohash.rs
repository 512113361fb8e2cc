//! Geohashes: a position on the globe as one number, so that what lies together mostly has numbers close to each other.
//!
//! ```text
//!  longitude and latitude are halved again and again, and the halves' bits stand in turn, longitude first:
//!     lon lat lon lat ...       `step` bits of each, 2 * step in all: a cell
//!  52 bits (26 of each) are what a sorted set's double holds exactly: a cell of 0.6 m
//! ```
//! The longitudes and latitudes are those of the web Mercator projection, as in Redis, so that scores agree bit for bit. The
//! scheme is G. Niemeyer's (2008); bits are interleaved with the usual masks (S. Anderson, Bit Twiddling Hacks).

/// Bounds of what can be stored, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
pub const LATITUDE_MAX: f64 = 85.05112878;
/// Bits of longitude and of latitude in a score.
pub const STEP_MAX: u32 = 26;

const LONGITUDES: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const LATITUDES: u64 = 0x5555_5555_5555_5555;
/// The digits of the geohashes that people write.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Digits of such a geohash.
pub const TEXT_LEN: usize = 11;
/// The latitudes of such geohashes go to the poles.
const POLE: f64 = 90.0;

/// Degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Position {
    pub longitude: f64,
    pub latitude: f64,
}

impl Position {
    /// Whether it can be stored.
    pub fn is_valid(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }
}

/// A rectangle of the globe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub bits: u64,
    pub step: u32,
}

/// The bounds of a cell, degrees.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    pub west: f64,
    pub east: f64,
    pub south: f64,
    pub north: f64,
}

/// Puts the bits of `even` and `odd` in turn.
fn interleave(even: u32, odd: u32) -> u64 {
    let spread = |bits: u32| {
        let mut x = u64::from(bits);
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, LATITUDES),
        ] {
            x = (x | x << shift) & mask;
        }
        x
    };
    spread(even) | spread(odd) << 1
}

/// The even bits.
fn gather(bits: u64) -> u32 {
    let mut x = bits & LATITUDES;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        x = (x | x >> shift) & mask;
    }
    x as u32
}

impl Cell {
    /// The cell of a position, with latitudes that go to `latitude_max`.
    fn within(at: Position, step: u32, latitude_max: f64) -> Cell {
        let part = |value: f64, max: f64| (value + max) / (max + max) * (1u64 << step) as f64;
        let latitude = part(at.latitude, latitude_max) as u32;
        let longitude = part(at.longitude, LONGITUDE_MAX) as u32;
        Cell { bits: interleave(latitude, longitude), step }
    }

    /// The cell of a valid position, with this many bits of each coordinate.
    pub fn of(at: Position, step: u32) -> Cell {
        Cell::within(at, step, LATITUDE_MAX)
    }

    /// The cell that a score is, whatever the score: what is no geohash is converted as the processor does.
    pub fn of_score(score: f64) -> Cell {
        const HALF: f64 = 9_223_372_036_854_775_808.0;
        let bits = match score {
            s if s < HALF => s as i64 as u64,
            s if s < HALF + HALF => (s - HALF) as u64 | 1 << 63,
            _ => 0,
        };
        Cell { bits, step: STEP_MAX }
    }

    /// The lowest score of positions in the cell.
    pub fn first_score(self) -> u64 {
        self.bits << (2 * (STEP_MAX - self.step))
    }

    /// The lowest score of positions behind it.
    pub fn end_score(self) -> u64 {
        (self.bits + 1) << (2 * (STEP_MAX - self.step))
    }

    pub fn area(self) -> Area {
        let bound = |n: u32, max: f64| -max + (f64::from(n) / (1u64 << self.step) as f64) * (max + max);
        let (latitude, longitude) = (gather(self.bits), gather(self.bits >> 1));
        Area {
            west: bound(longitude, LONGITUDE_MAX),
            east: bound(longitude.wrapping_add(1), LONGITUDE_MAX),
            south: bound(latitude, LATITUDE_MAX),
            north: bound(latitude.wrapping_add(1), LATITUDE_MAX),
        }
    }

    /// The middle of the cell.
    pub fn center(self) -> Position {
        let area = self.area();
        Position {
            longitude: ((area.west + area.east) / 2.0).clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: ((area.south + area.north) / 2.0).clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// The cell of the same size that lies so many cells to the east (-1, 0 or 1) and to the north, around the globe.
    pub fn neighbour(self, east: i32, north: i32) -> Cell {
        let unused = 64 - 2 * self.step;
        let moved = |own: u64, by: i32| {
            // A carry runs through the other coordinate's bits when they are all set, a borrow when they are all clear.
            let between = !own >> unused;
            let bits = self.bits & own;
            let bits = match by {
                0 => bits,
                1 => bits.wrapping_add(between.wrapping_add(1)),
                _ => (bits | between).wrapping_sub(between.wrapping_add(1)),
            };
            if by == 0 { bits } else { bits & own >> unused }
        };
        Cell { bits: moved(LONGITUDES, east) | moved(LATITUDES, north), step: self.step }
    }
}

/// The geohash that people write for a position: its latitudes go to the poles, and its last digit says nothing.
pub fn text(at: Position) -> [u8; TEXT_LEN] {
    let bits = Cell::within(at, STEP_MAX, POLE).bits;
    std::array::from_fn(|i| match i {
        0..10 => ALPHABET[(bits >> (2 * STEP_MAX as usize - 5 * (i + 1))) as usize & 31],
        _ => ALPHABET[0],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Position = Position { longitude: 13.361389, latitude: 38.115556 };

    #[test]
    fn scores_are_redis_s() {
        let cell = Cell::of(PALERMO, STEP_MAX);
        assert_eq!(cell.bits, 3_479_099_956_230_698);
        assert_eq!(cell, Cell::of_score(cell.bits as f64));
        let back = cell.center();
        assert!((back.longitude - 13.361_389_338_970_184).abs() < 1e-14, "{back:?}");
        assert!((back.latitude - 38.115_556_395_496_3).abs() < 1e-12);
        assert_eq!(&text(back), b"sqc8b49rny0");
    }

    #[test]
    fn cells_hold_their_positions_and_have_neighbours() {
        let mut rng = crate::base::prng::seeded(1);
        for _ in 0..2_000 {
            let mut part = || crate::base::prng::xorshift(&mut rng) as f64 / u64::MAX as f64 * 2.0 - 1.0;
            let at = Position { longitude: part() * LONGITUDE_MAX, latitude: part() * LATITUDE_MAX };
            let step = 3 + (crate::base::prng::xorshift(&mut rng) % 24) as u32;
            let cell = Cell::of(at, step);
            let area = cell.area();
            assert!(area.west <= at.longitude && at.longitude <= area.east);
            assert!(area.south <= at.latitude && at.latitude <= area.north);
            for (east, north) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1)] {
                let other = cell.neighbour(east, north);
                assert_eq!(other.neighbour(-east, -north), cell);
                assert!(other.bits < 1 << (2 * step));
            }
            let score = Cell::of(at, STEP_MAX).bits;
            assert!(cell.first_score() <= score && score < cell.end_score());
        }
    }

    #[test]
    fn any_score_is_some_cell() {
        for score in [0.0, -1.0, -1e300, 1e19, 1e300, f64::INFINITY, f64::NEG_INFINITY, 0.5] {
            let at = Cell::of_score(score).center();
            assert!(at.is_valid(), "{score}: {at:?}");
        }
    }
}
