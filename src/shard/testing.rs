//! Stand-ins for tests of shards.

use super::{Control, LoadRequest, SaveRequest};
use crate::cmd::ShutdownMode;
use crate::config::Config;
use crate::store::Garbage;
use std::sync::Arc;

/// A control plane that does nothing.
pub(super) struct Nobody;

impl Control for Nobody {
    fn free(&self, _garbage: Vec<Garbage>) {}
    fn write_config(&self, _shard: usize, _ticket: u64, _config: Arc<Config>) {}
    fn purge(&self, _whole: bool) {}
    fn shutdown(&self, _mode: ShutdownMode) {}
    fn save(&self, _request: SaveRequest) {}
    fn load(&self, _request: LoadRequest) {}
    fn note(&self, _text: String, _warns: bool) {}
}
