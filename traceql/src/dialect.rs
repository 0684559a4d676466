//! Which TraceQL a text is in.

use crate::limits::Limits;

/// The rules that a query is read and evaluated by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Tempo's language, and what this project adds to it: attributes of the parent span,
    /// `span:selfTime`, arithmetic on scalars and on series, and the ordinary integer power.
    #[default]
    Spandrel,
    /// The language of Grafana Tempo 3.0 with all of its refusals.
    Tempo,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::Spandrel, Self::Tempo];

    /// `spandrel` or `tempo`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spandrel => "spandrel",
            Self::Tempo => "tempo",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.as_str() == name)
    }
}

/// How a text is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whose rules decide.
    pub dialect: Dialect,
    /// What the query may cost.
    pub limits: Limits,
}

impl From<Dialect> for Options {
    /// The dialect with the default limits.
    fn from(dialect: Dialect) -> Self {
        Self {
            dialect,
            limits: Limits::default(),
        }
    }
}
