//! Stand-in configuration until the real one lands.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub databases: i64,
}
impl Default for Config {
    fn default() -> Self {
        Config { databases: 16 }
    }
}
