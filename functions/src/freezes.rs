//! Freezes of broker credentials, as responses have them.

use portcullis_http::rfc3339;
use portcullis_vault::{Freeze, Freezes};
use serde::Serialize;
use utoipa::ToSchema;

/// Whether services may read credentials.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TradingStatus {
    /// Services may read credentials.
    Active,
    /// No credentials are released.
    Frozen,
}

impl TradingStatus {
    /// Returns the status with these freezes.
    pub(crate) fn with(freezes: &Freezes) -> Self {
        if freezes.any() { Self::Frozen } else { Self::Active }
    }
}

/// Whose switch a freeze is, and who can lift it.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) enum FrozenBy {
    /// The owner of the credentials.
    #[serde(rename = "self")]
    Owner,
    /// An administrator, for this person.
    #[serde(rename = "admin")]
    Admin,
    /// An administrator, for everybody.
    #[serde(rename = "everybody")]
    Everybody,
}

/// A freeze that stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FreezeItem {
    /// Whose switch it is: `self`, `admin` or `everybody`. Only administrators lift the last two.
    pub(crate) by: FrozenBy,
    /// Who froze, as in the audit trail.
    #[schema(example = "self")]
    actor: String,
    /// Since when (RFC 3339, UTC).
    pub(crate) since: String,
    /// When it ends by itself (RFC 3339, UTC); `null` for one that has to be lifted.
    pub(crate) until: Option<String>,
    /// The reason that an administrator gave; `null` for the owner's own.
    pub(crate) reason: Option<String>,
}

impl FreezeItem {
    pub(crate) fn of(by: FrozenBy, freeze: Freeze) -> Self {
        Self {
            by,
            actor: freeze.frozen_by.unwrap_or_else(|| "self".to_owned()),
            since: rfc3339(freeze.since),
            until: freeze.ends_at.map(rfc3339),
            reason: freeze.reason,
        }
    }

    /// Returns those that stand, the one that reaches furthest first.
    pub(crate) fn all(freezes: Freezes) -> Vec<Self> {
        let Freezes { everybody, by_admin, own, .. } = freezes;
        let kinds = [(FrozenBy::Everybody, everybody), (FrozenBy::Admin, by_admin), (FrozenBy::Owner, own)];
        kinds.into_iter().filter_map(|(by, freeze)| Some(Self::of(by, freeze?))).collect()
    }
}

/// The state of a person's trading.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TradingStateResponse {
    /// `active`: services may read credentials; `frozen`: none are released.
    status: TradingStatus,
    /// Since when no credentials are released (RFC 3339, UTC); `null` while they are.
    frozen_at: Option<String>,
    /// Whose switch it is: `self`, `admin` or `everybody`, the one that reaches furthest; `null` while they are not frozen.
    frozen_by: Option<FrozenBy>,
    /// When the freeze that reaches furthest ends by itself (RFC 3339, UTC); `null` for one that has to be lifted.
    until: Option<String>,
    /// Until when services that cancel orders may still read sessions (RFC 3339, UTC); `null` where none may.
    cancel_until: Option<String>,
    /// Every freeze that stands. While one does, no credentials are released.
    freezes: Vec<FreezeItem>,
}

impl From<Freezes> for TradingStateResponse {
    fn from(freezes: Freezes) -> Self {
        let status = TradingStatus::with(&freezes);
        let since = freezes.all().map(|freeze| freeze.since).min();
        let cancel_until = freezes.cancel_until().map(rfc3339);
        let freezes = FreezeItem::all(freezes);
        let first = freezes.first();
        Self {
            status,
            frozen_at: since.map(rfc3339),
            frozen_by: first.map(|freeze| freeze.by),
            until: first.and_then(|freeze| freeze.until.clone()),
            cancel_until,
            freezes,
        }
    }
}
