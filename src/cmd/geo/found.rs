//! What a search finds, and where it goes.

use super::position::{reply_distance, reply_position};
use super::query::{Order, Query};
use crate::base::geohash::{Cell, Position};
use crate::cmd::effects::tell_result;
use crate::cmd::{Cx, Done, Outcome, zsets};
use crate::ds::zset::{Gathered, Zset};
use crate::resp::Out;

/// A member inside the shape.
pub struct Found {
    member: Vec<u8>,
    at: Position,
    /// In the unit of the query.
    distance: f64,
    score: f64,
}

/// Members inside the query's shape, in its order, and no more than it wants.
pub fn search(zset: &Zset, query: &Query<'_>) -> Vec<Found> {
    let enough = if query.any { query.count.unwrap_or(usize::MAX) } else { usize::MAX };
    let mut all = Vec::new();
    for cell in query.shape.cells() {
        if all.len() >= enough {
            break;
        }
        within_cell(zset, query, cell, enough, &mut all);
    }
    match query.order {
        Order::None => {}
        Order::Nearest => all.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
        Order::Farthest => all.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
    }
    all.truncate(query.count.unwrap_or(usize::MAX));
    all.iter_mut().for_each(|found| found.distance /= query.shape.unit_m);
    all
}

fn within_cell(zset: &Zset, query: &Query<'_>, cell: Cell, enough: usize, all: &mut Vec<Found>) {
    let (first, end) = (cell.first_score() as f64, cell.end_score() as f64);
    let from = zset.count_scores(|score| score < first);
    let to = zset.count_scores(|score| score < end);
    zset.walk(from, to.saturating_sub(from), false, |member, score| {
        let at = Cell::of_score(score).center();
        if let Some(distance) = query.shape.distance_inside(at) {
            all.push(Found { member: member.to_vec(), at, distance, score });
        }
        all.len() < enough
    });
}

/// Replies with the results, or stores them and replies with their number.
pub fn finish(cx: &mut Cx<'_>, query: &Query<'_>, found: Vec<Found>) -> Done {
    let Some(destination) = query.store else {
        cx.out.array(found.len());
        found.iter().for_each(|one| reply(cx.out, query, one));
        return Ok(Outcome::Done);
    };
    let mut gathered = Gathered::new(cx.keys.seed());
    for one in &found {
        gathered.gather(&one.member, if query.store_distance { one.distance } else { one.score });
    }
    let len = zsets::store(cx, destination, gathered);
    tell_result(&mut cx.keys, destination);
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn reply(out: &mut Out, query: &Query<'_>, found: &Found) {
    let options = [query.with_distance, query.with_hash, query.with_position];
    let wanted = options.into_iter().filter(|wanted| *wanted).count();
    if wanted > 0 {
        out.array(wanted + 1);
    }
    out.bulk(&found.member);
    if query.with_distance {
        reply_distance(out, found.distance);
    }
    if query.with_hash {
        out.int(found.score as i64);
    }
    if query.with_position {
        reply_position(out, found.at);
    }
}
