//! The metrics stage and what may follow it.

use super::Parser;
use crate::ast::{
    AttributeRef, Compare, MetricsAggregate, MetricsFunction, MetricsQuery, MetricsStage, Pipeline,
    SecondStage,
};
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};

/// Values that `compare()` keeps per attribute when the query does not say.
const DEFAULT_TOP_N: i64 = 10;

impl Parser<'_> {
    /// The rest of a metrics query, from the name of its function on.
    pub(super) fn metrics(&mut self, pipeline: Pipeline) -> Result<MetricsQuery, Error> {
        let stage = if self.at_word("compare") {
            MetricsStage::Compare(self.compare()?)
        } else {
            MetricsStage::Aggregate(self.metrics_aggregate()?)
        };
        Ok(MetricsQuery {
            pipeline,
            stage,
            second_stages: self.second_stages()?,
        })
    }

    fn metrics_aggregate(&mut self) -> Result<MetricsAggregate, Error> {
        let start = self.token.range.start;
        self.count_node()?;
        let name = self.advance();
        self.expect(Symbol::OpenParen, "`(`")?;
        let (function, argument) = match name.kind {
            TokenKind::Word("rate") => (MetricsFunction::Rate, None),
            TokenKind::Word("count_over_time") => (MetricsFunction::CountOverTime, None),
            kind => {
                let argument = self.attribute_ref()?;
                let function = match kind {
                    TokenKind::Word("min_over_time") => MetricsFunction::MinOverTime,
                    TokenKind::Word("max_over_time") => MetricsFunction::MaxOverTime,
                    TokenKind::Word("avg_over_time") => MetricsFunction::AvgOverTime,
                    TokenKind::Word("sum_over_time") => MetricsFunction::SumOverTime,
                    TokenKind::Word("histogram_over_time") => MetricsFunction::HistogramOverTime,
                    _ => self.quantiles()?,
                };
                (function, Some(argument))
            }
        };
        if argument.is_none() && !self.at(Symbol::CloseParen) {
            let name = function.as_str();
            return Err(self
                .unexpected("`)`")
                .with_hint(format!("{name}() takes no argument")));
        }
        self.expect(Symbol::CloseParen, "`)`")?;
        let by = if self.at_word("by") {
            self.metrics_group_by()?
        } else {
            Vec::new()
        };
        Ok(MetricsAggregate {
            function,
            argument,
            by,
            range: self.range_from(start),
        })
    }

    /// `, q, q …` after the argument of `quantile_over_time`; at least one.
    fn quantiles(&mut self) -> Result<MetricsFunction, Error> {
        self.expect(Symbol::Comma, "`,` and a quantile")?;
        let quantiles = self.comma_separated(|parser| {
            parser.count_node()?;
            let quantile = match parser.token.kind {
                #[expect(clippy::cast_precision_loss, reason = "only 0 and 1 pass validation")]
                TokenKind::Integer(value) => value as f64,
                TokenKind::Float(value) => value,
                _ => return Err(parser.unexpected("a quantile between 0 and 1")),
            };
            parser.advance();
            Ok(quantile)
        })?;
        Ok(MetricsFunction::QuantileOverTime { quantiles })
    }

    fn metrics_group_by(&mut self) -> Result<Vec<AttributeRef>, Error> {
        self.advance();
        self.expect_by_paren()?;
        let by = self.comma_separated(Self::attribute_ref)?;
        self.expect(Symbol::CloseParen, "`,` or `)`")?;
        Ok(by)
    }

    /// `compare({ … } [, top_n [, start, end]])`.
    fn compare(&mut self) -> Result<Compare, Error> {
        let start = self.token.range.start;
        self.advance();
        self.expect(Symbol::OpenParen, "`(`")?;
        let selection = self.braced_condition()?.node;
        let mut top_n = DEFAULT_TOP_N;
        let mut window_ns = (0, 0);
        if self.eat(Symbol::Comma) {
            top_n = self.integer("how many values to keep")?;
            if self.eat(Symbol::Comma) {
                let from = self.integer("the start of the window in epoch nanoseconds")?;
                self.expect(Symbol::Comma, "`,` and the end of the window")?;
                let to = self.integer("the end of the window in epoch nanoseconds")?;
                window_ns = (from, to);
            }
        }
        self.expect(Symbol::CloseParen, "`,` or `)`")?;
        Ok(Compare {
            selection,
            top_n,
            window_ns,
            range: self.range_from(start),
        })
    }

    pub(super) fn second_stages(&mut self) -> Result<Vec<SecondStage>, Error> {
        let mut stages = Vec::new();
        while let Some(stage) = self.second_stage()? {
            stages.push(stage);
        }
        Ok(stages)
    }

    /// `| topk(n)`, `| bottomk(n)`, or a comparison, which takes no `|`.
    fn second_stage(&mut self) -> Result<Option<SecondStage>, Error> {
        let start = self.token.range.start;
        if let Some(op) = self.comparison() {
            self.advance();
            if self.at(Symbol::OpenParen) {
                return Err(self
                    .unexpected("a number or duration")
                    .with_hint("series are compared with one number, without parentheses"));
            }
            let (value, _) = self.signed_number("a number or duration")?;
            return Ok(Some(SecondStage::Filter {
                op,
                value,
                range: self.range_from(start),
            }));
        }
        if !self.eat(Symbol::Pipe) {
            return Ok(None);
        }
        self.count_node()?;
        let is_top = self.at_word("topk");
        if !is_top && !self.at_word("bottomk") {
            let error = self.unexpected("topk(…) or bottomk(…) after a metrics stage");
            return Err(match self.comparison() {
                Some(op) => error.with_hint(format!("filters take no `|`, write `rate() {op} 1`")),
                None if self.at_word("by") => {
                    error.with_hint("grouping takes no `|`, write `rate() by(…)`")
                }
                None => error,
            });
        }
        self.advance();
        self.expect(Symbol::OpenParen, "`(`")?;
        let limit = self.integer("how many series to keep")?;
        self.expect(Symbol::CloseParen, "`)`")?;
        let range = self.range_from(start);
        Ok(Some(if is_top {
            SecondStage::TopK { limit, range }
        } else {
            SecondStage::BottomK { limit, range }
        }))
    }

    fn integer(&mut self, expected: &'static str) -> Result<i64, Error> {
        let TokenKind::Integer(value) = self.token.kind else {
            return Err(self.unexpected(expected));
        };
        self.count_node()?;
        self.advance();
        Ok(value)
    }
}
