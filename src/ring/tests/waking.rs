//! Waits, wake-ups and listeners.

use super::*;

#[test]
fn a_shard_wakes_another_and_one_that_is_gone_is_ignored() {
    let (mut bed, (fd, their_fd)) = (Bed::small(8), mpsc::channel());
    let own = bed.ring.fd();
    let other = thread::spawn(move || {
        let mut bed = Bed::small(8);
        fd.send(bed.ring.fd()).unwrap();
        bed.ring.set_peers(vec![own, bed.ring.fd()]);
        let mut woken = 0;
        // Asleep: only a wake-up ends this turn early.
        let started = Instant::now();
        bed.ring.turn(Wait::For(PATIENCE)).unwrap();
        assert!(started.elapsed() < PATIENCE);
        while let Some(event) = bed.ring.next_event() {
            woken += u32::from(matches!(event, Event::Woken));
        }
        bed.ring.wake(0);
        bed.ring.turn(Wait::No).unwrap();
        woken
    });
    bed.ring.set_peers(vec![own, their_fd.recv().unwrap()]);
    thread::sleep(Duration::from_millis(50));
    bed.ring.wake(1);
    bed.ring.wake(1);
    bed.until("wake-up", |e| matches!(e, Event::Woken).then_some(()));
    assert_eq!(other.join().unwrap(), 1);
    for _ in 0..3 {
        bed.ring.wake(1); // gone
        bed.turn(TICK);
    }
    bed.ring.wake(0); // itself
    assert!(bed.ring.peek());
    bed.turn(Wait::For(PATIENCE));
    assert!(matches!(bed.seen.pop_back(), Some(Event::Woken)));
    assert!(bed.seen.is_empty());
}

#[test]
fn a_bell_wakes_a_sleeper_each_time() {
    let mut bed = Bed::small(8);
    let bell = Bell::new().unwrap();
    bed.ring.hang(bell.clone());
    for _ in 0..20 {
        let bell = bell.clone();
        let ringer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            bell.ring();
            bell.ring();
        });
        bed.until("bell", |e| matches!(e, Event::Woken).then_some(()));
        ringer.join().unwrap();
        bed.turn(Wait::No);
        bed.seen.clear();
    }
}

#[test]
fn a_turn_waits_as_long_as_it_is_told() {
    let mut bed = Bed::small(8);
    bed.turn(Wait::No);
    let started = Instant::now();
    bed.ring.turn(Wait::For(Duration::from_millis(30))).unwrap();
    let waited = started.elapsed();
    assert!((Duration::from_millis(30)..Duration::from_millis(300)).contains(&waited), "{waited:?}");
    assert!(bed.ring.next_event().is_none() && !bed.ring.peek());
    let (mut client, conn) = bed.connect();
    bed.turn(Wait::No);
    client.write_all(b"x").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !bed.ring.peek() {
        assert!(Instant::now() < deadline, "peek sees no data");
    }
    assert_eq!(bed.read(conn, 1), b"x");
}

#[test]
fn a_listener_that_fails_rests_and_goes_on() {
    let mut bed = Bed::small(8);
    // Accepting from a socket that does not listen fails each time.
    let deaf = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    assert!(deaf.as_raw_fd() >= 0);
    let number = bed.ring.listen(deaf);
    let started = Instant::now();
    let mut failures = 0;
    while started.elapsed() < Duration::from_millis(350) {
        bed.turn(Wait::For(Duration::from_secs(1)));
        for event in bed.seen.drain(..) {
            assert!(
                matches!(event, Event::AcceptFailed { listener, errno: libc::EINVAL } if listener == number)
            );
            failures += 1;
        }
    }
    assert!((3..=5).contains(&failures), "{failures} failures");
    bed.connect();
}
