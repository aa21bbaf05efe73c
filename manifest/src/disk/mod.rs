//! Manifests on disk: made, opened, believed, changed, mended.

pub mod atomic;
pub mod batch;
pub mod create;
pub mod file_error;
pub mod handle;
pub mod lock;
pub mod merged;
pub mod pin;
pub mod places;
pub mod repair;
pub mod store;
pub mod store_error;
pub mod update;
