//! Whose request it is.

use http::HeaderMap;
use storage::ids::TenantId;

use crate::error::PushError;
use crate::ingest::Ingest;

/// Header, and gRPC metadata key, that names the tenant.
const TENANT_HEADER: &str = "x-scope-orgid";

/// The tenant that a request's headers name; of a deployment without tenants, its only one.
///
/// # Errors
/// No tenant is named although one must be, or the name cannot be one.
pub(super) fn tenant(ingest: &Ingest, headers: &HeaderMap) -> Result<TenantId, PushError> {
    if !ingest.config().multitenancy_enabled {
        return Ok(TenantId::single());
    }
    let mut names = headers.get_all(TENANT_HEADER).iter();
    let name = names.next().ok_or(PushError::TenantMissing)?;
    // Neither what is not text nor two names can be a tenant; a control byte stands for both.
    let name = if names.next().is_some() {
        "\0"
    } else {
        name.to_str().unwrap_or("\0")
    };
    name.parse()
        .map_err(|source| PushError::TenantInvalid { source })
}
