//! Entry points for fuzzing and for counting instructions.

#[cfg(any(test, feature = "__fuzz"))]
pub mod fuzz;
#[cfg(feature = "__hot")]
pub mod hot;
