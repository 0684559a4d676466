//! The questions, as a table: each in TraceQL and, in terms that [`sql`] knows, for the rivals.

mod question;
mod sql;
mod window;

pub(crate) use self::question::{Ask, Question, Value};
use self::question::{count, lookup, quantile};
pub(crate) use self::sql::{Dialect, Writer, quoted, text};
pub(crate) use self::window::{Cut, Window};

const PANEL: Cut = Cut::Intervals(64);
const COARSE: Cut = Cut::Intervals(24);

/// Queries for series. Names that start with D are those of Grafana's Traces Drilldown: what it asks
/// before anything shows, and its breakdowns by attributes of few, some and very many values.
pub(crate) const METRICS: &[Question] = &[
    count("count", "{} | count_over_time()"),
    count("rate by service", "{} | rate() by (resource.service.name)").by("{service}"),
    count(
        "errors by service",
        "{status=error} | count_over_time() by (resource.service.name)",
    )
    .by("{service}")
    .of("{error}"),
    quantile(
        "p50 by service",
        "{} | quantile_over_time(duration, .5) by (resource.service.name)",
        0.5,
    )
    .by("{service}"),
    quantile(
        "p99 by service",
        "{} | quantile_over_time(duration, .99) by (resource.service.name)",
        0.99,
    )
    .by("{service}"),
    count(
        "rate by route",
        "{span.http.route != nil} | rate() by (span.http.route)",
    )
    .by("{span.http.route}")
    .of("{has span.http.route}"),
    quantile(
        "p50 by route",
        "{span.http.route != nil} | quantile_over_time(duration, .5) by (span.http.route)",
        0.5,
    )
    .by("{span.http.route}")
    .of("{has span.http.route}"),
    quantile(
        "p99 by route",
        "{span.http.route != nil} | quantile_over_time(duration, .99) by (span.http.route)",
        0.99,
    )
    .by("{span.http.route}")
    .of("{has span.http.route}"),
    Question {
        value: Value::Average,
        ..count("avg by name", "{} | avg_over_time(duration) by (name)")
    }
    .by("{name}"),
    count(
        "one service by status",
        "{resource.service.name=\"edge-gateway\" && span.http.response.status_code != nil} | rate() by (span.http.response.status_code)",
    )
    .by("{span.http.response.status_code}")
    .of("{service} = 'edge-gateway' AND {has span.http.response.status_code}"),
    quantile(
        "one service p99",
        "{resource.service.name=\"cart\" && kind=server} | quantile_over_time(duration, .99)",
        0.99,
    )
    .of("{service} = 'cart' AND {server}"),
    count(
        "regex",
        "{resource.service.name=~\"(edge|web|mobile)-.*\"} | rate() by (resource.service.name)",
    )
    .by("{service}")
    .of("{regex service (edge|web|mobile)-.*}"),
    count(
        "slow and failed",
        "{duration > 100ms && span.http.response.status_code >= 500} | count_over_time()",
    )
    .of("{duration} > 100000000 AND {int span.http.response.status_code} >= 500"),
    Question {
        top: Some(10),
        ..count(
            "topk of users",
            "{span.enduser.id != nil} | count_over_time() by (span.enduser.id) | topk(10)",
        )
    }
    .by("{span.enduser.id}")
    .of("{has span.enduser.id}")
    .cut(COARSE),
    count(
        "histogram",
        "{duration >= 2ns} | histogram_over_time(duration)",
    )
    .by("{bucket}")
    .of("{duration} >= 2"),
    count(
        "child",
        "{kind=server} > {kind=client && status=error} | count_over_time()",
    )
    .of("{client} AND {error} AND {parent server}"),
    count(
        "descendant",
        "{resource.service.name=\"web-frontend\"} >> {status=error} | count_over_time()",
    )
    .of("{error} AND {ancestor web-frontend}"),
    count("descendant of any", "{} >> {status=error} | count_over_time()").alone(),
    count("large traces", "{} | count() > 50 | count_over_time()").alone(),
    Question {
        value: Value::Compare,
        ..count("compare", "{} | compare({status = error}, 10)")
    }
    .cut(Cut::Whole)
    .alone(),
    count("D2 rate", "{nestedSetParent<0 && true} | rate()  with(sample=true)")
        .of("{root}")
        .cut(PANEL),
    count(
        "D3 errors",
        "{nestedSetParent<0 && true && status=error} | rate()  with(sample=true)",
    )
    .of("{root} AND {error}")
    .cut(PANEL),
    count(
        "D4 durations",
        "{nestedSetParent<0 && true} | histogram_over_time(duration) with(sample=true)",
    )
    .by("{bucket}")
    .of("{root} AND {duration} >= 2")
    .cut(COARSE),
    count("D5 seeker", "{true} | rate()  with(sample=true)").cut(Cut::Seeker),
    count(
        "D6 rate, 2 regions",
        "{true && resource.cloud.region != nil} | rate() by(resource.cloud.region)",
    )
    .by("{resource.cloud.region}")
    .of("{has resource.cloud.region}")
    .cut(PANEL),
    count(
        "D6 rate, 200 pods",
        "{true && resource.k8s.pod.name != nil} | rate() by(resource.k8s.pod.name)",
    )
    .by("{resource.k8s.pod.name}")
    .of("{has resource.k8s.pod.name}")
    .cut(PANEL),
    count(
        "D6 rate, all users",
        "{true && span.enduser.id != nil} | rate() by(span.enduser.id)",
    )
    .by("{span.enduser.id}")
    .of("{has span.enduser.id}")
    .cut(PANEL),
    count(
        "D7 errors, 2 regions",
        "{true && status=error && resource.cloud.region != nil} | rate() by(resource.cloud.region)",
    )
    .by("{resource.cloud.region}")
    .of("{error} AND {has resource.cloud.region}")
    .cut(PANEL),
    count(
        "D7 errors, 200 pods",
        "{true && status=error && resource.k8s.pod.name != nil} | rate() by(resource.k8s.pod.name)",
    )
    .by("{resource.k8s.pod.name}")
    .of("{error} AND {has resource.k8s.pod.name}")
    .cut(PANEL),
    count(
        "D7 errors, all users",
        "{true && status=error && span.enduser.id != nil} | rate() by(span.enduser.id)",
    )
    .by("{span.enduser.id}")
    .of("{error} AND {has span.enduser.id}")
    .cut(PANEL),
    quantile(
        "D8 p90, 2 regions",
        "{true && resource.cloud.region != nil} | quantile_over_time(duration, 0.9) by(resource.cloud.region)",
        0.9,
    )
    .by("{resource.cloud.region}")
    .of("{has resource.cloud.region}")
    .cut(PANEL),
    quantile(
        "D8 p90, 200 pods",
        "{true && resource.k8s.pod.name != nil} | quantile_over_time(duration, 0.9) by(resource.k8s.pod.name)",
        0.9,
    )
    .by("{resource.k8s.pod.name}")
    .of("{has resource.k8s.pod.name}")
    .cut(PANEL),
    quantile(
        "D8 p90, all users",
        "{true && span.enduser.id != nil} | quantile_over_time(duration, 0.9) by(span.enduser.id)",
        0.9,
    )
    .by("{span.enduser.id}")
    .of("{has span.enduser.id}")
    .cut(PANEL),
];

/// Panels of one dashboard, which are refreshed together.
pub(crate) const DASHBOARD: &[&str] = &[
    "count",
    "rate by service",
    "errors by service",
    "p50 by service",
    "p99 by service",
    "rate by route",
    "p99 by route",
    "avg by name",
    "one service by status",
    "one service p99",
    "histogram",
    "D6 rate, 200 pods",
];

/// Counts that are asked once more, each label and interval with the trace of its slowest span.
pub(crate) const WITH_SLOWEST: &[&str] = &["count", "rate by service", "errors by service"];

/// Questions after single things. Searches match fewer traces than their limit, so that there is one
/// answer.
pub(crate) const LOOKUPS: &[Question] = &[
    lookup(
        "search, one user",
        Ask::Search,
        "{span.enduser.id = \"user-000777\"}",
    )
    .by("{trace}")
    .of("{span.enduser.id} = 'user-000777'"),
    lookup(
        "search, slow and failed",
        Ask::Search,
        "{resource.service.name=\"cart\" && status=error && duration > 5ms}",
    )
    .by("{trace}")
    .of("{service} = 'cart' AND {error} AND {duration} > 5000000"),
    lookup("values of services", Ask::Values, "resource.service.name").by("{service}"),
    lookup("values of routes", Ask::Values, "span.http.route")
        .by("{span.http.route}")
        .of("{has span.http.route}"),
    lookup("values of pods", Ask::Values, "resource.k8s.pod.name")
        .by("{resource.k8s.pod.name}")
        .of("{has resource.k8s.pod.name}"),
];

/// A trace by its id, which depends on the data.
pub(crate) fn trace_by_id(id: &str) -> Question {
    // A handful per run, named for as long as it lasts.
    let text: &'static str = String::leak(id.to_owned());
    let condition: &'static str = String::leak(format!("{{trace {id}}}"));
    lookup("trace by id", Ask::Trace, text)
        .by("{span}")
        .of(condition)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_tell_questions_apart() {
        let questions = || METRICS.iter().chain(LOOKUPS);
        let names: HashSet<&str> = questions().map(|question| question.name).collect();
        assert_eq!(names.len(), questions().count());
        let mut chosen = DASHBOARD.iter().chain(WITH_SLOWEST);
        assert!(chosen.all(|name| names.contains(name)));
    }

    #[test]
    fn every_query_compiles() {
        for question in METRICS {
            let dialect = traceql::Dialect::default();
            if let Err(error) = traceql::compile_with(question.text, &dialect.into()) {
                panic!("{}: {error:?}", question.text);
            }
        }
    }
}
