//! What a search asks for, read from its arguments.

use super::arguments::{position, unit_m};
use super::position::position_of;
use crate::base::double::parse_double;
use crate::base::geohash::Position;
use crate::base::geoshape::{Form, Shape};
use crate::base::number::parse_i64;
use crate::ds::zset::Zset;
use crate::resp::{Args, Error};

/// In which sequence results come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they are found.
    None,
    Nearest,
    Farthest,
}

/// A search, as far as its arguments say.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pub shape: Shape,
    pub with_distance: bool,
    pub with_hash: bool,
    pub with_position: bool,
    pub order: Order,
    /// The most results; none: all.
    pub count: Option<usize>,
    /// Any results will do, not only the nearest.
    pub any: bool,
    /// Where the results go; none: to the client.
    pub store: Option<&'a [u8]>,
    /// Distances become the scores of what is stored.
    pub store_distance: bool,
}

impl<'a> Query<'a> {
    fn new() -> Query<'a> {
        let center = Position { longitude: 0.0, latitude: 0.0 };
        Query {
            shape: Shape { center, form: Form::Circle { radius: 0.0 }, unit_m: 1.0 },
            with_distance: false,
            with_hash: false,
            with_position: false,
            order: Order::None,
            count: None,
            any: false,
            store: None,
            store_distance: false,
        }
    }

    /// Reads an option that all searches have at `at`; how many arguments it takes, 0 when it is none of them.
    fn option(&mut self, args: Args<'a>, at: usize) -> Result<usize, Error> {
        match () {
            _ if args.is(at, "withdist") => self.with_distance = true,
            _ if args.is(at, "withhash") => self.with_hash = true,
            _ if args.is(at, "withcoord") => self.with_position = true,
            _ if args.is(at, "any") => self.any = true,
            _ if args.is(at, "asc") => self.order = Order::Nearest,
            _ if args.is(at, "desc") => self.order = Order::Farthest,
            _ if args.is(at, "count") && at + 1 < args.len() => {
                let count = parse_i64(args.at(at + 1)).ok_or(Error::NotInteger)?;
                let count = usize::try_from(count).ok().filter(|n| *n > 0);
                self.count = Some(count.ok_or(Error::text_of("ERR COUNT must be > 0"))?);
                return Ok(2);
            }
            _ => return Ok(0),
        }
        Ok(1)
    }

    /// Reads a radius and its unit.
    fn circle(&mut self, args: Args<'_>, at: usize) -> Result<(), Error> {
        let radius = parse_double(args.at(at)).ok_or(Error::text_of("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(Error::text_of("ERR radius cannot be negative"));
        }
        self.shape.unit_m = unit_m(args.at(at + 1))?;
        self.shape.form = Form::Circle { radius };
        Ok(())
    }

    /// Reads width, height and their unit.
    fn rectangle(&mut self, args: Args<'_>, at: usize) -> Result<(), Error> {
        let width = parse_double(args.at(at)).ok_or(Error::text_of("ERR need numeric width"))?;
        let height = parse_double(args.at(at + 1)).ok_or(Error::text_of("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::text_of("ERR height or width cannot be negative"));
        }
        self.shape.unit_m = unit_m(args.at(at + 2))?;
        self.shape.form = Form::Box { width, height };
        Ok(())
    }

    /// Puts the centre where a member is. No set, no error: the reply is empty anyhow.
    fn center_on(&mut self, zset: Option<&Zset>, member: &[u8]) -> Result<(), Error> {
        if let Some(zset) = zset {
            let found = position_of(zset, member);
            self.shape.center = found.ok_or(Error::text_of("ERR could not decode requested zset member"))?;
        }
        Ok(())
    }

    /// The checks that come after all arguments were read, and what COUNT means for the order.
    fn settle(mut self, storing: &str) -> Result<Query<'a>, Error> {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            return Err(Error::text_of(format!(
                "ERR {storing} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if self.any && self.count.is_none() {
            return Err(Error::text_of("ERR the ANY argument requires COUNT argument"));
        }
        if self.count.is_some() && self.order == Order::None && !self.any {
            self.order = Order::Nearest;
        }
        Ok(self)
    }

    /// The arguments of GEORADIUS and GEORADIUSBYMEMBER from the middle on; `member`: the middle is one. `stores`: STORE and
    /// STOREDIST are options.
    pub fn radius(
        args: Args<'a>,
        zset: Option<&Zset>,
        member: bool,
        stores: bool,
    ) -> Result<Query<'a>, Error> {
        let mut query = Query::new();
        let circle_at = if member { 1 } else { 2 };
        if !member {
            query.shape.center = position(args, 0)?;
        } else {
            query.center_on(zset, args.at(0))?;
        }
        // With neither a set nor a position there is nothing to measure: the radius is not read, as in Redis.
        if !member || zset.is_some() {
            query.circle(args, circle_at)?;
        }
        let mut i = circle_at + 2;
        while i < args.len() {
            let has_more = i + 1 < args.len();
            let store_distance = args.is(i, "storedist");
            match query.option(args, i)? {
                0 if stores && has_more && (store_distance || args.is(i, "store")) => {
                    (query.store, query.store_distance) = (args.get(i + 1), store_distance);
                    i += 2;
                }
                0 => return Err(Error::Syntax),
                taken => i += taken,
            }
        }
        query.settle("STORE option in GEORADIUS")
    }

    /// The arguments of GEOSEARCH and GEOSEARCHSTORE (`store`: its destination) behind the keys. `name`: the command as the
    /// client wrote it.
    pub fn search(
        args: Args<'a>,
        zset: Option<&Zset>,
        store: Option<&'a [u8]>,
        name: &[u8],
    ) -> Result<Query<'a>, Error> {
        let mut query = Query { store, ..Query::new() };
        let (mut from_member, mut from_position, mut by_circle, mut by_box) = (false, false, false, false);
        let mut i = 0;
        while i < args.len() {
            let left = args.len() - i;
            i += match query.option(args, i)? {
                0 if store.is_some() && args.is(i, "storedist") => {
                    query.store_distance = true;
                    1
                }
                0 if left >= 2 && !from_position && args.is(i, "frommember") => {
                    query.center_on(zset, args.at(i + 1))?;
                    from_member = true;
                    2
                }
                0 if left >= 3 && !from_member && args.is(i, "fromlonlat") => {
                    query.shape.center = position(args, i + 1)?;
                    from_position = true;
                    3
                }
                0 if left >= 3 && !by_box && args.is(i, "byradius") => {
                    query.circle(args, i + 1)?;
                    by_circle = true;
                    3
                }
                0 if left >= 4 && !by_circle && args.is(i, "bybox") => {
                    query.rectangle(args, i + 1)?;
                    by_box = true;
                    4
                }
                0 => return Err(Error::Syntax),
                taken => taken,
            };
        }
        let checked = query.settle("GEOSEARCHSTORE");
        let name = String::from_utf8_lossy(name);
        let missing =
            |what: &str| Error::text_of(format!("ERR exactly one of {what} can be specified for {name}"));
        let clash = query.store.is_some() && (query.with_distance || query.with_hash || query.with_position);
        match () {
            _ if clash => checked,
            _ if !from_member && !from_position => Err(missing("FROMMEMBER or FROMLONLAT")),
            _ if !by_circle && !by_box => Err(missing("BYRADIUS and BYBOX")),
            _ => checked,
        }
    }
}
