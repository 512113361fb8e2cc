//! Stand-in configuration until the real one lands.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub databases: i64,
    pub proto_max_bulk_len: u64,
}
impl Default for Config {
    fn default() -> Self {
        Config { databases: 16, proto_max_bulk_len: 512 * 1024 * 1024 }
    }
}
