//! The types of knobs that are neither yes/no, number, word nor plain text.

use super::knob::Rule;
use super::value::{Value, choose, decimal, memory, memory_text, one};

/// What a signal's shutdown may do.
pub const SHUTDOWN: &[&str] = &["default", "save", "nosave", "now", "force"];

/// An enum whose variants are words of redis.conf.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $word:literal ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$vmeta])* $variant ),* }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word in redis.conf.
            pub fn word(self) -> &'static str {
                match self { $( $name::$variant => $word ),* }
            }
        }

        impl Value for $name {
            fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
                let word = choose(one(words)?, Self::WORDS)?;
                $( if word == $word { *self = $name::$variant; } )*
                Ok(())
            }

            fn show(&self, _: &Rule) -> String {
                self.word().into()
            }

            fn takes(_: &Rule) -> String {
                Self::WORDS.join(", ")
            }
        }
    };
}

choices! {
    /// The weight of a log line, and the least that is logged.
    LogLevel {
        /// All, for development.
        Debug = "debug",
        /// Rarely useful detail.
        Verbose = "verbose",
        /// What an operator wants to know.
        Notice = "notice",
        /// What an operator must know.
        Warning = "warning",
    }
}

impl LogLevel {
    /// 0 for debug to 3 for warning.
    pub fn rank(self) -> u8 {
        self as u8
    }
}

choices! {
    /// Which keys are evicted, and so which clock a key carries.
    MaxmemoryPolicy {
        /// The longest unused key with a TTL.
        VolatileLru = "volatile-lru",
        /// The least used key with a TTL.
        VolatileLfu = "volatile-lfu",
        /// Any key with a TTL.
        VolatileRandom = "volatile-random",
        /// The key that expires first.
        VolatileTtl = "volatile-ttl",
        /// The longest unused key.
        AllkeysLru = "allkeys-lru",
        /// The least used key.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// None.
        NoEviction = "noeviction",
        /// kring's own: S3-FIFO over all keys.
        AllkeysS3fifo = "allkeys-s3fifo",
        /// kring's own: S3-FIFO over keys with a TTL.
        VolatileS3fifo = "volatile-s3fifo",
    }
}

impl MaxmemoryPolicy {
    /// Whether keys count their uses instead of remembering the last one.
    pub fn is_lfu(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu)
    }

    /// Whether Redis gives every key a value of its own, for the sake of its uses.
    pub fn tracks_use(self) -> bool {
        self.is_lfu() || self.is_lru()
    }

    /// Whether the keys go that were not used for longest.
    pub fn is_lru(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru)
    }

    /// Whether keys stand in the queues of S3-FIFO.
    pub fn is_fifo(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileS3fifo | MaxmemoryPolicy::AllkeysS3fifo)
    }

    /// Whether only keys with a TTL may go.
    pub fn is_volatile(self) -> bool {
        use MaxmemoryPolicy::{VolatileLfu, VolatileLru, VolatileRandom, VolatileS3fifo, VolatileTtl};
        matches!(self, VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl | VolatileS3fifo)
    }
}

choices! {
    /// Who may run a dangerous command.
    EnableCommand {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Loopback addresses and Unix sockets.
        Local = "local",
    }
}

/// Bounds on the unsent replies of a client of some class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClientLimit {
    /// Bytes at which it is closed at once; 0 for no bound.
    pub hard: u64,
    /// Bytes at which it is closed after `soft_seconds`; 0 for no bound.
    pub soft: u64,
    /// Seconds above `soft`.
    pub soft_seconds: u64,
}

/// `client-output-buffer-limit`: one bound for each class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Clients that ask and are answered.
    pub normal: ClientLimit,
    /// Replicas.
    pub replica: ClientLimit,
    /// Subscribers.
    pub pubsub: ClientLimit,
}

impl Default for OutputLimits {
    fn default() -> OutputLimits {
        const MB: u64 = 1 << 20;
        OutputLimits {
            normal: ClientLimit::default(),
            replica: ClientLimit { hard: 256 * MB, soft: 64 * MB, soft_seconds: 60 },
            pubsub: ClientLimit { hard: 32 * MB, soft: 8 * MB, soft_seconds: 60 },
        }
    }
}

impl OutputLimits {
    fn class(&mut self, name: &str) -> Option<&mut ClientLimit> {
        match name.to_ascii_lowercase().as_str() {
            "normal" => Some(&mut self.normal),
            "replica" | "slave" => Some(&mut self.replica),
            "pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }
}

impl Value for OutputLimits {
    const SEVERAL_WORDS: bool = true;

    /// Classes that are not named keep their bounds.
    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut limits = *self;
        for four in words.chunks_exact(4) {
            let class = limits.class(&four[0]);
            let class = class.ok_or("Invalid client class specified in buffer limit configuration.")?;
            let numbers =
                (memory(&four[1]), memory(&four[2]), decimal(&four[3]).and_then(|n| u64::try_from(n).ok()));
            let (Some(hard), Some(soft), Some(soft_seconds)) = numbers else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into()
                );
            };
            *class = ClientLimit { hard, soft, soft_seconds };
        }
        *self = limits;
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        // CONFIG GET says "slave" still, where files say "replica".
        let classes = [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)];
        let shown = classes
            .map(|(name, limit)| format!("{name} {} {} {}", limit.hard, limit.soft, limit.soft_seconds));
        shown.join(" ")
    }

    fn takes(_: &Rule) -> String {
        "class (normal, replica, pubsub), hard bytes, soft bytes, seconds".into()
    }

    fn lines(&self, default: &Self, _: &Rule) -> Vec<(String, bool)> {
        let classes = [
            ("normal", self.normal, default.normal),
            ("replica", self.replica, default.replica),
            ("pubsub", self.pubsub, default.pubsub),
        ];
        let line = |(name, limit, default): (&str, ClientLimit, ClientLimit)| {
            let text = format!(
                "{name} {} {} {}",
                memory_text(limit.hard),
                memory_text(limit.soft),
                limit.soft_seconds
            );
            (text, limit != default)
        };
        classes.map(line).into()
    }
}

/// What a knob that slows a test down makes of each key, in microseconds: so many, or one for every so many keys.
pub fn delay_us(knob: i32) -> f64 {
    if knob < 0 { 1.0 / -f64::from(knob) } else { f64::from(knob) }
}

/// `save`: seconds and changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavePoints(pub Vec<(u64, u64)>);

impl Value for SavePoints {
    const ACCUMULATES: bool = true;
    const SEVERAL_WORDS: bool = true;

    /// Adds the points; no word, or a single empty one, clears them.
    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        const ERROR: &str = "Invalid save parameters";
        if words.iter().all(|word| word.is_empty()) && words.len() < 2 {
            self.0.clear();
            return Ok(());
        }
        if !words.len().is_multiple_of(2) {
            return Err(ERROR.into());
        }
        let point = |pair: &[String]| {
            let (seconds, changes) = (decimal(&pair[0])?, decimal(&pair[1])?);
            (seconds >= 1 && changes >= 0).then_some((seconds.unsigned_abs(), changes.unsigned_abs()))
        };
        let points: Option<Vec<_>> = words.chunks_exact(2).map(point).collect();
        self.0.extend(points.ok_or(ERROR)?);
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        let shown: Vec<_> = self.0.iter().map(|(seconds, changes)| format!("{seconds} {changes}")).collect();
        shown.join(" ")
    }

    fn takes(_: &Rule) -> String {
        "seconds and changes, repeated".into()
    }

    fn lines(&self, default: &Self, _: &Rule) -> Vec<(String, bool)> {
        if self.0.is_empty() {
            return vec![("\"\"".into(), self != default)];
        }
        self.0.iter().map(|(seconds, changes)| (format!("{seconds} {changes}"), self != default)).collect()
    }
}

/// `maxmemory`: bytes, or percent of the machine's memory. `maxmemory-clients`: bytes, or percent of maxmemory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOrPercent {
    /// That many bytes.
    Bytes(u64),
    /// That part of the whole, 0 to 100.
    Percent(u8),
}

impl MemoryOrPercent {
    /// In bytes, where the whole is `whole` bytes.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            MemoryOrPercent::Bytes(bytes) => bytes,
            MemoryOrPercent::Percent(percent) => (u128::from(whole) * u128::from(percent) / 100) as u64,
        }
    }
}

impl Value for MemoryOrPercent {
    fn assign(&mut self, words: &[String], rule: &Rule) -> Result<(), String> {
        let bounded = matches!(rule, Rule::Memory(..));
        // Redis takes no percent for `maxmemory`, so it does not speak of it.
        let error = if bounded {
            "argument must be a memory value"
        } else {
            "argument must be a memory or percent value"
        };
        let word = one(words)?;
        let Some(percent) = word.strip_suffix('%') else {
            let mut bytes = 0u64;
            match bounded {
                true => bytes.assign(words, rule)?,
                false => bytes = memory(word).ok_or(error)?,
            }
            *self = MemoryOrPercent::Bytes(bytes);
            return Ok(());
        };
        let percent = decimal(percent).filter(|p| *p >= 0).ok_or(error)?;
        let percent = u8::try_from(percent).ok().filter(|p| *p <= 100);
        *self = MemoryOrPercent::Percent(percent.ok_or("percentage argument must be less or equal to 100")?);
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        match self {
            MemoryOrPercent::Bytes(bytes) => bytes.to_string(),
            MemoryOrPercent::Percent(percent) => format!("{percent}%"),
        }
    }

    fn takes(_: &Rule) -> String {
        "bytes, or percent".into()
    }

    fn lines(&self, default: &Self, rule: &Rule) -> Vec<(String, bool)> {
        let text = match self {
            MemoryOrPercent::Bytes(bytes) => memory_text(*bytes),
            MemoryOrPercent::Percent(_) => self.show(rule),
        };
        vec![(text, self != default)]
    }
}

/// `latency-tracking-info-percentiles`: numbers from 0 to 100.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Default for Percentiles {
    fn default() -> Percentiles {
        Percentiles(vec![50.0, 99.0, 99.9])
    }
}

impl Value for Percentiles {
    const SEVERAL_WORDS: bool = true;

    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        if matches!(words, [word] if word.is_empty()) {
            self.0.clear();
            return Ok(());
        }
        let parsed: Result<Vec<f64>, _> = words.iter().map(|word| word.parse::<f64>()).collect();
        let parsed = parsed.map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
        if !parsed.iter().all(|p| (0.0..=100.0).contains(p)) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
        }
        self.0 = parsed;
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        let shown: Vec<_> = self.0.iter().map(f64::to_string).collect();
        shown.join(" ")
    }

    fn takes(_: &Rule) -> String {
        "numbers, 0 to 100".into()
    }
}

/// `oom-score-adj-values`: master, replica, child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomScores(pub [i32; 3]);

impl Value for OomScores {
    const SEVERAL_WORDS: bool = true;

    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        let [master, replica, child] = words else { return Err("wrong number of arguments".into()) };
        let score = |word: &String| {
            let number = word.parse::<i32>().ok().filter(|n| (-2000..=2000).contains(n));
            number.ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        };
        *self = OomScores([score(master)?, score(replica)?, score(child)?]);
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        let [master, replica, child] = self.0;
        format!("{master} {replica} {child}")
    }

    fn takes(_: &Rule) -> String {
        "three numbers, -2000 to 2000".into()
    }
}

/// `replicaof`: host and port, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master(pub Option<(String, u16)>);

impl Value for Master {
    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        let [host, port] = words else { return Err("wrong number of arguments".into()) };
        if host.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one") {
            self.0 = None;
            return Ok(());
        }
        let port = decimal(port).and_then(|port| u16::try_from(port).ok());
        self.0 = Some((host.clone(), port.ok_or("Invalid master port")?));
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        self.0.as_ref().map(|(host, port)| format!("{host} {port}")).unwrap_or_default()
    }

    fn takes(_: &Rule) -> String {
        "host and port".into()
    }
}

/// `cpu-list`: numbers of cores in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CpuList(pub Vec<usize>);

/// The greatest number of a core, and of cores in a list (Linux knows no more).
const MAX_CPU: usize = 8191;

impl Value for CpuList {
    fn assign(&mut self, words: &[String], _: &Rule) -> Result<(), String> {
        let error = || format!("argument must be a list of cores such as 0-3,8 (up to {MAX_CPU})");
        let core = |text: &str| text.parse::<usize>().ok().filter(|core| *core <= MAX_CPU).ok_or_else(error);
        let mut cores = Vec::new();
        for part in one(words)?.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (core(first)?, core(last)?);
            cores.extend(first..=last);
            if first > last || cores.len() > MAX_CPU {
                return Err(error());
            }
        }
        self.0 = cores;
        Ok(())
    }

    fn show(&self, _: &Rule) -> String {
        let mut shown: Vec<String> = Vec::new();
        for run in self.0.chunk_by(|a, b| *b == a + 1) {
            let (first, last) = (run[0], run[run.len() - 1]);
            shown.push(if first == last { first.to_string() } else { format!("{first}-{last}") });
        }
        shown.join(",")
    }

    fn takes(_: &Rule) -> String {
        "cores, as in 0-3,8".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    /// Assigns `line` to `value`, and gives what it then shows.
    fn set<T: Value>(mut value: T, line: &str) -> Result<String, String> {
        value.assign(&words(line), &Rule::Any)?;
        Ok(value.show(&Rule::Any))
    }

    #[test]
    fn output_limits_are_set_by_class() {
        let shown = set(OutputLimits::default(), "normal 1mb 2 3 pubsub 1 1 1").expect("valid");
        assert_eq!(shown, "normal 1048576 2 3 slave 268435456 67108864 60 pubsub 1 1 1");
        for (line, error) in [
            ("normal 1 2", "Wrong number of arguments in buffer limit configuration."),
            ("master 0 0 0", "Invalid client class specified in buffer limit configuration."),
            ("normal x 0 0", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        ] {
            assert_eq!(set(OutputLimits::default(), line), Err(error.into()));
        }
        let lines = OutputLimits::default().lines(&OutputLimits::default(), &Rule::Any);
        assert_eq!(lines[1], ("replica 256mb 64mb 60".into(), false));
    }

    #[test]
    fn save_points_add_up_until_cleared() {
        let mut save = SavePoints(vec![(60, 1)]);
        save.assign(&words("30 5 10 6"), &Rule::Any).expect("valid");
        assert_eq!(save.show(&Rule::Any), "60 1 30 5 10 6");
        for line in ["1", "0 1", "a b", "1 -1"] {
            assert_eq!(
                save.assign(&words(line), &Rule::Any),
                Err("Invalid save parameters".into()),
                "{line}"
            );
        }
        for nothing in [&words("")[..], &[]] {
            save.assign(&words("1 1"), &Rule::Any).expect("valid");
            save.assign(nothing, &Rule::Any).expect("valid");
            assert_eq!(save.show(&Rule::Any), "");
        }
    }

    #[test]
    fn the_others_round_trip() {
        let cpus = CpuList::default();
        assert_eq!(set(cpus.clone(), "0-3,8,7").as_deref(), Ok("0-3,8,7"));
        assert_eq!(set(cpus.clone(), "").as_deref(), Ok(""));
        for bad in ["3-1", "a", "1-", "9999"] {
            assert!(set(cpus.clone(), bad).is_err(), "{bad}");
        }
        assert_eq!(set(Percentiles::default(), "50 50 99.123").as_deref(), Ok("50 50 99.123"));
        assert!(set(Percentiles::default(), "101").is_err());
        assert!(set(Percentiles::default(), "NaN").is_err());
        let zero = MemoryOrPercent::Bytes(0);
        assert_eq!(set(zero, "5%").as_deref(), Ok("5%"));
        assert_eq!(set(zero, "1kb").as_deref(), Ok("1024"));
        assert_eq!(MemoryOrPercent::Percent(5).of(u64::MAX / 2), u64::MAX / 40);
        assert_eq!(set(zero, "150%"), Err("percentage argument must be less or equal to 100".into()));
        assert_eq!(set(OomScores([0; 3]), "1 -2 3").as_deref(), Ok("1 -2 3"));
        assert_eq!(set(Master(None), "localhost 6379").as_deref(), Ok("localhost 6379"));
        assert_eq!(set(Master(None), "NO ONE").as_deref(), Ok(""));
        assert_eq!(set(Master(None), "localhost x"), Err("Invalid master port".into()));
        assert_eq!(set(LogLevel::Notice, "WARNING").as_deref(), Ok("warning"));
        assert!(MaxmemoryPolicy::AllkeysLfu.is_lfu() && !MaxmemoryPolicy::AllkeysLru.is_lfu());
    }
}
