//! The parser by numbers: nanoseconds per command, alone and with the command looked up.
//!
//! `cargo bench --bench parser -- [rounds]`. Pipelines of 32 GET or SET, 16-byte keys, 64-byte values. Run by the tests
//! (without `--bench`), it does a tiny round.

#[path = "world/sink.rs"]
mod sink;

use kring::cmd::{FAMILIES, Registry};
use kring::resp::{Args, Limits, Parser, Span, Step};
use std::hint::black_box;
use std::time::Instant;

const PIPELINE: u64 = 32;

/// Parses all of `input` and calls `each` with every command; how many there were.
fn parse(input: &[u8], spans: &mut Vec<Span>, inline: &mut Vec<u8>, mut each: impl FnMut(Args<'_>)) -> usize {
    let limits = Limits { bulk_max: 512 << 20, authenticated: true };
    let (mut parser, mut commands) = (Parser::default(), 0);
    loop {
        spans.clear();
        match parser.step(input, &limits, spans, inline) {
            Step::Command { end, .. } => {
                each(Args::new(input, spans));
                commands += 1;
                parser = Parser::at(end);
            }
            _ => return commands,
        }
    }
}

fn main() {
    let rounds = sink::numbers().next().unwrap_or(if sink::is_bench() { 500_000 } else { 100 });
    let registry = Registry::new(FAMILIES);
    let (mut gets, mut sets) = (Vec::new(), Vec::new());
    for n in 0..PIPELINE {
        sink::get(&mut gets, n);
        sink::set(&mut sets, n, 64);
    }
    let (mut spans, mut inline) = (Vec::new(), Vec::new());
    for (name, input) in [("GET", &gets), ("SET", &sets)] {
        let mut measure = |what: &str, each: &mut dyn FnMut(Args<'_>)| {
            let began = Instant::now();
            for _ in 0..rounds {
                let commands = parse(black_box(input), &mut spans, &mut inline, &mut *each);
                assert_eq!(commands as u64, PIPELINE);
            }
            let ns = began.elapsed().as_nanos() as f64 / (rounds * PIPELINE) as f64;
            println!("{name}, pipeline {PIPELINE}, {what:<22} {ns:6.1} ns");
        };
        measure("parsed:", &mut |args| {
            black_box(args);
        });
        measure("parsed and looked up:", &mut |args| {
            assert!(registry.find(args).is_ok());
        });
    }
}
