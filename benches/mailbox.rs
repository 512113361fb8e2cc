//! What a hop between two shards costs: the queue alone when both poll, and the wake-up of one that sleeps.
//!
//! `cargo bench --bench mailbox -- [hops] [wakes]`. Two threads, on two cores when there are two; numbers are one way. Run by the
//! tests (without `--bench`), it does a tiny round.

#[path = "world/sink.rs"]
mod sink;

use kring::ring::{self, Event, Net, Options, Ring, Wait};
use kring::shard::{Letter, Mesh};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Polls before the other thread gets a chance on this core.
const POLLS: u32 = 10_000;
/// How long a wake-up may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(5);

fn pin(nth: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(core) = cores.get(nth % cores.len().max(1)) {
        core_affinity::set_for_current(*core);
    }
}

fn receive(mesh: &mut Mesh) -> Letter {
    loop {
        for _ in 0..POLLS {
            if let Some(letter) = mesh.receive() {
                return letter;
            }
            std::hint::spin_loop();
        }
        std::thread::yield_now();
    }
}

/// A letter to and fro between two threads that poll.
fn polled(hops: u64) -> f64 {
    let mut meshes = Mesh::all(2);
    let (mut far, mut near) = (meshes.remove(1), meshes.remove(0));
    let echo = std::thread::spawn(move || {
        pin(1);
        for _ in 0..hops / 2 {
            let letter = receive(&mut far);
            far.send(0, letter);
        }
    });
    pin(0);
    let began = Instant::now();
    for ticket in 0..hops / 2 {
        near.send(1, Letter::Done { ticket });
        assert!(matches!(receive(&mut near), Letter::Done { ticket: back } if back == ticket));
    }
    let ns = began.elapsed().as_nanos() as f64 / (hops / 2 * 2) as f64;
    echo.join().expect("the echo does not panic");
    ns
}

/// A ring that knows the other's; `None` where io_uring is not to be had.
fn open(own: usize, to: &Sender<Option<i32>>, from: &Receiver<Option<i32>>) -> Option<Ring> {
    pin(own);
    let options = Options {
        entries: 8,
        cq_entries: 64,
        recv_buffers: 1,
        recv_buffer_bytes: 4096,
        ..Options::default()
    };
    let opened = ring::open(&options);
    let fd = opened.as_ref().ok().map(|(ring, _)| ring.fd());
    to.send(fd).expect("the other thread waits");
    let other = from.recv().expect("the other thread sends");
    let (mut ring, other) = (opened.ok()?.0, other?);
    let own_fd = ring.fd();
    ring.set_peers(if own == 0 { vec![own_fd, other] } else { vec![other, own_fd] });
    Some(ring)
}

/// Sleeps until the other rings.
fn sleep(ring: &mut Ring) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        ring.turn(Wait::For(PATIENCE)).expect("the ring turns");
        while let Some(event) = ring.next_event() {
            if let Event::Woken = event {
                return;
            }
        }
    }
    panic!("no wake-up came");
}

/// `MSG_RING` to and fro between two threads that sleep in their rings.
fn woken(wakes: u64) -> Option<f64> {
    let (to_far, from_near) = channel();
    let (to_near, from_far) = channel();
    let (done, ended) = channel::<()>();
    let echo = std::thread::spawn(move || {
        let Some(mut ring) = open(1, &to_near, &from_near) else { return };
        for _ in 0..wakes / 2 {
            sleep(&mut ring);
            ring.wake(0);
        }
        ring.turn(Wait::No).expect("the ring turns");
        // Open until the other has rung for the last time.
        let _ = ended.recv();
    });
    let Some(mut ring) = open(0, &to_far, &from_far) else {
        echo.join().expect("the echo does not panic");
        return None;
    };
    let began = Instant::now();
    for _ in 0..wakes / 2 {
        ring.wake(1);
        sleep(&mut ring);
    }
    let us = began.elapsed().as_secs_f64() * 1e6 / (wakes / 2 * 2) as f64;
    drop(done);
    echo.join().expect("the echo does not panic");
    Some(us)
}

fn main() {
    let mut numbers = sink::numbers();
    let hops = numbers.next().unwrap_or(if sink::is_bench() { 2_000_000 } else { 100 });
    let wakes = numbers.next().unwrap_or(if sink::is_bench() { 50_000 } else { 100 });
    println!("a letter, both sides poll:        {:8.1} ns a hop", polled(hops));
    match woken(wakes) {
        Some(us) => println!("MSG_RING to a shard that sleeps:  {us:8.2} us a hop"),
        None => println!("MSG_RING: io_uring is not to be had here"),
    }
}
