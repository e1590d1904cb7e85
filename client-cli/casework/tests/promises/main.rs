//! What `marram-casework` promises, held by real processes on real files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod destroying;
mod enrolling;
mod importing;
mod interrupted;
mod leaves;
mod opening;
mod reading;
mod support;
