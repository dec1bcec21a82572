//! What stands in the table about a person, and what an administrator does to them.

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use portcullis_platform::{Clock, SystemEntropy};
use portcullis_store::{Account, AccountStatus, AuditEvent, AuditKind, RolesAndStatus, RolesAndStatusChange};

use crate::in_process::world::{TABLE, World};

impl World {
    /// All rows that begin with this sort key in a partition, as DynamoDB writes them.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn rows(&self, partition: &str, sort: &str) -> Vec<serde_json::Value> {
        let body = serde_json::json!({
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": partition}, ":sk": {"S": sort}},
        });
        let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
        request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.Query");
        let answer = self.engine.call(request).await.expect("an answer");
        let answer: serde_json::Value =
            serde_json::from_slice(answer.body().bytes().unwrap_or_default()).expect("JSON");
        answer.get("Items").and_then(serde_json::Value::as_array).cloned().unwrap_or_default()
    }

    /// Kinds of the events in somebody's trail, oldest first.
    pub async fn trail(&self, account: &Account) -> Vec<String> {
        let rows = self.rows(&format!("AUDIT#{}", account.id), "AUD#").await;
        let kind = |row: &serde_json::Value| {
            row.pointer("/kind/S").and_then(|kind| kind.as_str().map(str::to_owned))
        };
        rows.iter().filter_map(kind).collect()
    }

    /// Switches an account off, as an administrator does.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn disable(&self, account: &Account) {
        let next = RolesAndStatus { roles: account.roles.clone(), status: AccountStatus::Disabled };
        self.administer(account, AuditKind::AccountDisabled, next).await;
    }

    /// Gives an account these roles in place of its own, as an administrator does.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn give_roles(&self, account: &Account, roles: &[&str]) {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let next = RolesAndStatus { roles, status: account.status };
        self.administer(account, AuditKind::RolesChanged, next).await;
    }

    #[expect(clippy::expect_used, reason = "there is no test without it")]
    async fn administer(&self, account: &Account, kind: AuditKind, next: RolesAndStatus) {
        let seal = self.identity.audit_seal().expect("keys");
        let event = AuditEvent::new(kind, account.id, self.clock.now(), &seal, &SystemEntropy);
        let event = event.expect("randomness");
        let changed = self.truth.change_roles_and_status(account, &next, None, &[event]).await;
        assert_eq!(changed.expect("the engine answers"), RolesAndStatusChange::Changed);
    }
}
