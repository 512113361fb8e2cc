//! kring

pub mod base;
pub mod config;
pub mod ds;
pub mod metrics;
pub mod resp;
pub mod ring {
    pub mod net;
}
pub mod cmd;
pub mod persist;
pub mod store;
