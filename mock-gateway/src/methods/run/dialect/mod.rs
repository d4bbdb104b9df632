//! The frames of a run in each edition.

pub(crate) mod call;
pub(crate) mod common;
pub(crate) mod new;
pub(crate) mod old;
pub(crate) mod place;
pub(crate) mod repeats;
pub(crate) mod result;

use common::Dialect;

use crate::edition::Edition;

pub(crate) fn dialect(edition: Edition) -> &'static dyn Dialect {
    match edition {
        Edition::V2026_2_9 => &old::Old,
        Edition::V2026_9_6 => &new::New,
    }
}
