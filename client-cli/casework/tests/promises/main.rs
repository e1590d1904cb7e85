//! What `marram-casework` promises, held by real processes on real files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounting;
mod boards;
mod destroying;
mod enrolling;
mod importing;
mod interrupted;
mod leaves;
mod opening;
mod orders;
mod reading;
mod standings;
mod support;
