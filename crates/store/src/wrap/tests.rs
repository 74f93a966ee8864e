//! Layers around a store that fails as it is told.
