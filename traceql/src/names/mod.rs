//! The names of scopes, intrinsics, functions and keywords, and how each is written.

mod attribute;
mod constant;
mod function;
mod intrinsic;
mod keyword;
mod scope;

pub(crate) use self::attribute::ends_name;
pub(crate) use self::function::{METRICS_FUNCTIONS, STAGE_FUNCTIONS};
pub(crate) use self::keyword::{is_keyword, value_words};
pub(crate) use self::scope::ColonScope;
