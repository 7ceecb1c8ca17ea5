//! The step of a start or of a stop that is in progress: logs and errors name it.

use parking_lot::Mutex;
use std::borrow::Cow;

/// Name of the current step.
#[derive(Debug)]
pub(super) struct Step(Mutex<Cow<'static, str>>);

impl Default for Step {
    fn default() -> Self {
        Self(Mutex::new("its first step".into()))
    }
}

impl Step {
    /// Enters another step.
    pub(super) fn enter(&self, name: impl Into<Cow<'static, str>>) {
        *self.0.lock() = name.into();
    }

    /// Name of the step in progress.
    pub(super) fn name(&self) -> String {
        self.0.lock().to_string()
    }
}
