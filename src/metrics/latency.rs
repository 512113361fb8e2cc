//! LATENCY's events: the worst moments of a shard, a second at a time.

/// How many entries an event keeps, as in Redis.
pub const EVENT_HISTORY: usize = 160;

/// The history of one event.
#[derive(Clone, Debug, Default)]
pub struct LatencyEvent {
    /// (seconds since the Unix epoch, worst milliseconds in that second), oldest first.
    pub entries: Vec<(i64, u32)>,
    /// The worst ever, in milliseconds.
    pub max_ms: u32,
}

/// The events of a shard, by name.
#[derive(Clone, Debug, Default)]
pub struct LatencyEvents {
    events: Vec<(&'static str, LatencyEvent)>,
}

impl LatencyEvents {
    /// Notes that `event` took `ms` at `secs`.
    pub fn note(&mut self, event: &'static str, secs: i64, ms: u32) {
        let at = match self.events.iter().position(|(name, _)| *name == event) {
            Some(at) => at,
            None => {
                self.events.push((event, LatencyEvent::default()));
                self.events.len() - 1
            }
        };
        self.events[at].1.push(secs, ms);
    }

    /// All events, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &LatencyEvent)> {
        self.events.iter().map(|(name, event)| (*name, event))
    }

    /// Forgets these events, or all when none are named; how many there were.
    pub fn reset(&mut self, names: &[String]) -> usize {
        let before = self.events.len();
        self.events
            .retain(|(name, _)| !names.is_empty() && !names.iter().any(|n| n.eq_ignore_ascii_case(name)));
        before - self.events.len()
    }

    /// Adds another shard's events; entries of one second become one.
    pub fn add(&mut self, other: &LatencyEvents) {
        for (name, event) in &other.events {
            for (secs, ms) in &event.entries {
                self.note(name, *secs, *ms);
            }
            if let Some((_, mine)) = self.events.iter_mut().find(|(n, _)| n == name) {
                mine.entries.sort_unstable();
                mine.max_ms = mine.max_ms.max(event.max_ms);
            }
        }
    }
}

impl LatencyEvent {
    fn push(&mut self, secs: i64, ms: u32) {
        self.max_ms = self.max_ms.max(ms);
        if let Some(same) = self.entries.iter_mut().find(|(at, _)| *at == secs) {
            same.1 = same.1.max(ms);
            return;
        }
        if self.entries.len() == EVENT_HISTORY {
            self.entries.remove(0);
        }
        self.entries.push((secs, ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst_and_the_history_is_bounded() {
        let mut events = LatencyEvents::default();
        for secs in 0..200 {
            events.note("command", secs, 3);
            events.note("command", secs, 2);
        }
        let (_, event) = events.iter().next().expect("noted");
        assert_eq!(event.entries.len(), EVENT_HISTORY);
        assert_eq!(event.entries.last(), Some(&(199, 3)));
        let mut sum = LatencyEvents::default();
        sum.add(&events);
        sum.add(&events);
        assert_eq!(sum.iter().count(), 1);
        assert_eq!(sum.reset(&["COMMAND".into()]), 1);
    }
}
