//! Commands that work on the store, here or in the process that serves: see [`crate::control`].

use std::process::ExitCode;

use serde_json::Value;

use super::{Source, output};
use crate::control::{self, Order};

/// Carries out an order over the store of a configuration. `show` prints each line that comes.
pub(super) fn run(source: &Source, order: Order, show: impl FnMut(Value)) -> ExitCode {
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(refused) => {
            output::error(refused);
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(format!("the runtime cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(control::perform(&loaded.config.storage, order, show)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(error);
            ExitCode::FAILURE
        }
    }
}
