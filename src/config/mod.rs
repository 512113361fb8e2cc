//! Stand-in configuration until the real one lands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub hard: u64,
    pub soft: u64,
    pub seconds: u64,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub normal: Limit,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub databases: i64,
    pub borrow: bool,
    pub take_spin_ns: i64,
    pub prefetch_depth: i64,
    pub requirepass: String,
    pub client_query_buffer_limit: u64,
    pub input_backlog: u64,
    pub output_high_water: u64,
    pub client_output_buffer_limit: Limits,
    pub latency_monitor_threshold: i64,
    pub active_expire_effort: i64,
    pub timeout: i64,
    pub slowlog_max_len: i64,
    pub slowlog_log_slower_than: i64,
    pub latency_tracking: bool,
    pub lfu_log_factor: i64,
    pub lfu_decay_time: i64,
    pub proto_max_bulk_len: i64,
}
impl Default for Config {
    fn default() -> Self {
        Config {
            databases: 16,
            borrow: true,
            take_spin_ns: 2000,
            prefetch_depth: 16,
            requirepass: String::new(),
            client_query_buffer_limit: 1 << 30,
            input_backlog: 64 << 20,
            output_high_water: 1 << 20,
            client_output_buffer_limit: Limits { normal: Limit { hard: 0, soft: 0, seconds: 0 } },
            latency_monitor_threshold: 0,
            active_expire_effort: 1,
            timeout: 0,
            slowlog_max_len: 128,
            slowlog_log_slower_than: 10000,
            latency_tracking: true,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            proto_max_bulk_len: 512 << 20,
        }
    }
}
impl Config {
    pub fn is_lfu(&self) -> bool {
        false
    }
    pub fn set_all(&mut self, _p: &[(String, String)]) -> Result<(), ()> {
        Ok(())
    }
}
