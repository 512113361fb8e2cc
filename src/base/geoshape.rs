//! Distances on the globe, and the geohash cells that cover a circle or a rectangle.
//!
//! The globe is a sphere here, as in Redis, and distances are haversine (R. Sinnott, 1984). A shape is covered by the cell of
//! its middle and the eight around it, of a size that makes them just enough; cells that the shape cannot reach are left out.
//! Which cells, and in which sequence, decides the order of unsorted results, so both are Redis's.

use super::geohash::{Area, Cell, Position, STEP_MAX};

const EARTH_RADIUS_M: f64 = 6_372_797.560856;
/// Half of the equator in the Mercator projection, m.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
const RADIANS: f64 = std::f64::consts::PI / 180.0;
/// Beyond these latitudes cells are so narrow that larger ones are taken.
const NORTHERN: f64 = 66.0;
const POLAR: f64 = 80.0;

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub center: Position,
    pub form: Form,
    /// Metres of the unit that `form` is in.
    pub unit_m: f64,
}

/// The form of a shape, in its unit.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// The distance along a meridian, m.
fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (b * RADIANS - a * RADIANS).abs()
}

/// The distance of two positions, m.
pub fn distance(a: Position, b: Position) -> f64 {
    let (west, east) = (a.longitude * RADIANS, b.longitude * RADIANS);
    let v = ((east - west) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance(a.latitude, b.latitude);
    }
    let (south, north) = (a.latitude * RADIANS, b.latitude * RADIANS);
    let u = ((north - south) / 2.0).sin();
    let a = u * u + south.cos() * north.cos() * v * v;
    2.0 * EARTH_RADIUS_M * a.sqrt().asin()
}

impl Shape {
    /// The distance of a position from the centre in metres, if the position is inside.
    pub fn distance_inside(&self, at: Position) -> Option<f64> {
        match self.form {
            Form::Circle { radius } => {
                let found = distance(self.center, at);
                (found <= radius * self.unit_m).then_some(found)
            }
            Form::Box { width, height } => {
                if latitude_distance(at.latitude, self.center.latitude) > height * self.unit_m / 2.0 {
                    return None;
                }
                // How far east or west, along the position's own parallel.
                let abreast = Position { longitude: self.center.longitude, latitude: at.latitude };
                if distance(at, abreast) > width * self.unit_m / 2.0 {
                    return None;
                }
                Some(distance(self.center, at))
            }
        }
    }

    /// From the centre to the farthest point, m.
    fn radius_m(&self) -> f64 {
        self.unit_m
            * match self.form {
                Form::Circle { radius } => radius,
                Form::Box { width, height } => {
                    ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
                }
            }
    }

    /// A rectangle around the shape. Parallels are shorter towards the poles, so its longitudes are those of the side that
    /// lies nearer to one.
    fn bounds(&self) -> Area {
        let (width, height) = match self.form {
            Form::Circle { radius } => (radius, radius),
            Form::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let (width, height) = (self.unit_m * width, self.unit_m * height);
        let Position { longitude, latitude } = self.center;
        let up = height / EARTH_RADIUS_M / RADIANS;
        let side = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = width / EARTH_RADIUS_M / (side * RADIANS).cos() / RADIANS;
        Area { west: longitude - aside, east: longitude + aside, south: latitude - up, north: latitude + up }
    }

    /// Bits of each coordinate with which nine cells cover the shape, in most cases.
    fn step(&self) -> u32 {
        let mut range = self.radius_m();
        if range == 0.0 {
            return STEP_MAX;
        }
        let mut step = 1;
        while range < MERCATOR_MAX_M {
            range *= 2.0;
            step += 1;
        }
        step -= 2;
        let latitude = self.center.latitude.abs();
        step -= i32::from(latitude > NORTHERN) + i32::from(latitude > POLAR);
        step.clamp(1, STEP_MAX as i32) as u32
    }

    /// Whether the cells around the middle one end before the bounds do.
    fn exceeds(cell: Cell, bounds: Area) -> bool {
        cell.neighbour(0, 1).area().north < bounds.north
            || cell.neighbour(0, -1).area().south > bounds.south
            || cell.neighbour(1, 0).area().east < bounds.east
            || cell.neighbour(-1, 0).area().west > bounds.west
    }

    /// The cells to look into, in Redis's sequence; the same one may come again, but not at once.
    pub fn cells(&self) -> impl Iterator<Item = Cell> {
        let bounds = self.bounds();
        let mut cell = Cell::of(self.center, self.step());
        if cell.step > 1 && Shape::exceeds(cell, bounds) {
            cell = Cell::of(self.center, cell.step - 1);
        }
        let area = cell.area();
        let around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let within = move |(east, north): &(i32, i32)| {
            cell.step < 2
                || !(*north < 0 && area.south < bounds.south
                    || *north > 0 && area.north > bounds.north
                    || *east < 0 && area.west < bounds.west
                    || *east > 0 && area.east > bounds.east)
        };
        let mut last = None;
        around.into_iter().filter(within).enumerate().filter_map(move |(i, (east, north))| {
            let next = cell.neighbour(east, north);
            // The middle one is not remembered: a neighbour that is the same cell is looked into again.
            let again = last == Some(next);
            if i > 0 {
                last = Some(next);
            }
            (!again).then_some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Position = Position { longitude: 13.361389, latitude: 38.115556 };
    const CATANIA: Position = Position { longitude: 15.087269, latitude: 37.502669 };

    #[test]
    fn distances_are_redis_s() {
        assert_eq!(format!("{:.4}", distance(PALERMO, CATANIA)), "166274.2578");
        assert_eq!(distance(PALERMO, PALERMO), 0.0);
    }

    /// Every position inside a shape lies in a cell that is looked into.
    #[test]
    fn cells_cover_their_shape() {
        let mut rng = crate::base::prng::seeded(7);
        for _ in 0..500 {
            let mut part = || crate::base::prng::xorshift(&mut rng) as f64 / u64::MAX as f64 * 2.0 - 1.0;
            // Where the sphere is nearly flat: near the poles and across the date line Redis, too, misses some.
            let center = Position { longitude: part() * 160.0, latitude: part() * 60.0 };
            let size = 10f64.powf(2.5 + 2.5 * part());
            let forms =
                [Form::Circle { radius: size }, Form::Box { width: size, height: size * (1.5 + part()) }];
            for form in forms {
                let shape = Shape { center, form, unit_m: 1.0 };
                let cells: Vec<Cell> = shape.cells().collect();
                for _ in 0..50 {
                    let reach = size / 60_000.0;
                    let at = Position {
                        longitude: center.longitude + part() * reach,
                        latitude: center.latitude + part() * reach,
                    };
                    if at.is_valid() && shape.distance_inside(at).is_some() {
                        let score = Cell::of(at, STEP_MAX).bits;
                        let found = cells.iter().any(|c| c.first_score() <= score && score < c.end_score());
                        assert!(found, "{at:?} in {shape:?}");
                    }
                }
            }
        }
    }
}
