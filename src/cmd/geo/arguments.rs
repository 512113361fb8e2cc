//! Positions and units as arguments.

use crate::base::double::parse_double;
use crate::base::geohash::Position;
use crate::resp::{Args, Error};

/// Metres of a unit.
pub fn unit_m(name: &[u8]) -> Result<f64, Error> {
    match name.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1_000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1_609.34),
        _ => Err(Error::text_of("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// The position that arguments `at` and the one after it give.
pub fn position(args: Args<'_>, at: usize) -> Result<Position, Error> {
    let longitude = parse_double(args.at(at)).ok_or(Error::NotFloat)?;
    let latitude = parse_double(args.at(at + 1)).ok_or(Error::NotFloat)?;
    let found = Position { longitude, latitude };
    if !found.is_valid() {
        let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        return Err(Error::text_of(text));
    }
    Ok(found)
}
