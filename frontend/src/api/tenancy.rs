//! Whose spans a request asks for.

use axum::http::{HeaderMap, StatusCode};
use storage::ids::TenantId;

use crate::config::FrontendConfig;

const HEADER: &str = "x-scope-orgid";

/// Most tenants that one query may name.
const MAX_TENANTS: usize = 16;

/// A request that names no tenants properly: status and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TenancyError {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

/// The tenants that a request names, without repetition.
pub(super) fn tenants(
    config: &FrontendConfig,
    headers: &HeaderMap,
) -> Result<Vec<TenantId>, TenancyError> {
    if !config.multitenancy_enabled {
        return Ok(vec![TenantId::single()]);
    }
    let invalid = |message: String| TenancyError {
        status: StatusCode::BAD_REQUEST,
        message,
    };
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next().filter(|value| !value.is_empty()) else {
        let message = "no org id".to_owned();
        return Err(TenancyError {
            status: StatusCode::UNAUTHORIZED,
            message,
        });
    };
    if values.next().is_some() {
        return Err(invalid("more than one X-Scope-OrgID header".to_owned()));
    }
    let text = value
        .to_str()
        .map_err(|_| invalid("X-Scope-OrgID is not ASCII".to_owned()))?;
    let mut tenants = Vec::new();
    for id in text.split('|') {
        let tenant: TenantId = id
            .parse()
            .map_err(|error| invalid(format!("{error}: X-Scope-OrgID={text:?}")))?;
        if !tenants.contains(&tenant) {
            tenants.push(tenant);
        }
    }
    if tenants.len() > 1 && !config.query_frontend.multi_tenant_queries_enabled {
        return Err(invalid(
            "queries over several tenants are off \
             (query_frontend.multi_tenant_queries_enabled)"
                .to_owned(),
        ));
    }
    if tenants.len() > MAX_TENANTS {
        let message = format!(
            "a query may name {MAX_TENANTS} tenants, not {}",
            tenants.len()
        );
        return Err(invalid(message));
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(header: Option<&'static str>) -> Result<Vec<String>, u16> {
        let mut config = FrontendConfig {
            multitenancy_enabled: true,
            ..Default::default()
        };
        config.query_frontend.multi_tenant_queries_enabled = true;
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(HEADER, value.parse().unwrap());
        }
        tenants(&config, &headers)
            .map(|tenants| tenants.into_iter().map(String::from).collect())
            .map_err(|error| error.status.as_u16())
    }

    #[test]
    fn tenants_are_named_by_the_header() {
        assert_eq!(named(Some("a")), Ok(vec!["a".to_owned()]));
        assert_eq!(
            named(Some("a|b|a")),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(named(None), Err(401));
        assert_eq!(named(Some("")), Err(401));
        for text in ["a||b", "|a", "a/b", "..", ".", "a b"] {
            assert_eq!(named(Some(text)), Err(400), "{text}");
        }
    }

    #[test]
    fn without_tenants_the_header_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "a/b".parse().unwrap());
        let found = tenants(&FrontendConfig::default(), &headers);
        assert_eq!(found, Ok(vec![TenantId::single()]));
    }
}
