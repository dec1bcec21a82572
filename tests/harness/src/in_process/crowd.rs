//! More trading accounts than an engine on a laptop answers for in good time, made up when they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::base64::encode;
use aws_smithy_types::body::SdkBody;
use portcullis_identity::sealing;
use portcullis_platform::{
    CALL_TIMEOUT_MS, CallTimeouts, Clock, DataKey, EncryptionContext, Environment, KeyWrap, KeyWrapError,
    SystemEntropy,
};
use portcullis_platform_embedded::EmbeddedDynamoDb;
use portcullis_service::Operations;
use portcullis_store::Store;
use secrecy::SecretSlice;
use serde_json::{Value, json};

use crate::in_process::clock::MovableClock;
use crate::in_process::operations::{CHEAP_HASHES, operations_on, platform};
use crate::in_process::world::{PATIENT, TABLE};

const SHARDS: usize = 256;
const BROKER: &str = "kite";

/// A table with so many trading accounts, each of which really opens and is really encrypted anew. Everything that is not
/// about them is in an engine in memory.
#[derive(Debug, Clone)]
pub struct Crowd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: EmbeddedDynamoDb,
    key: OneKey,
    /// How often each account was encrypted anew.
    reencrypted: Vec<AtomicU8>,
    read: AtomicUsize,
}

/// A key service with one data key. Each call takes a millisecond, which is what a call of 32 milliseconds takes of the
/// time of 32 that are under way.
#[derive(Debug, Clone)]
struct OneKey(Arc<MovableClock>);

#[async_trait]
impl KeyWrap for OneKey {
    async fn generate_data_key(&self, _: &EncryptionContext) -> Result<DataKey, KeyWrapError> {
        self.0.advance(std::time::Duration::from_millis(1));
        Ok(DataKey { plaintext: SecretSlice::from(vec![7; 32]), wrapped: b"wrapped".to_vec() })
    }

    async fn unwrap_data_key(
        &self,
        _: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretSlice<u8>, KeyWrapError> {
        Ok(self.generate_data_key(context).await?.plaintext)
    }
}

impl Crowd {
    /// Returns the table with so many accounts, and the operations on it with this clock.
    ///
    /// # Panics
    /// When there is no engine.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn of(
        accounts: usize,
        clock: &Arc<MovableClock>,
        environment: &Environment,
    ) -> (Self, Operations) {
        let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
        let patient = environment.clone().or(CALL_TIMEOUT_MS.name, PATIENT);
        let timeouts = CallTimeouts::read(&patient).expect("timeouts");
        let empty = Store::in_process(engine.http_client(), TABLE, timeouts);
        empty.create_table_if_missing().await.expect("a table");
        let reencrypted = (0..accounts).map(|_| AtomicU8::new(0)).collect();
        let key = OneKey(Arc::clone(clock));
        let crowd =
            Self(Arc::new(Inner { engine, key: key.clone(), reencrypted, read: AtomicUsize::new(0) }));
        let store = Store::in_process(SharedHttpClient::new(crowd.clone()), TABLE, timeouts);
        let mut platform = platform(environment, store, clock.clone());
        platform.broker_key_wrap = Arc::new(key);
        let operations = operations_on(&platform, environment, CHEAP_HASHES).await;
        (crowd, operations)
    }

    /// Returns how many accounts were encrypted anew exactly this often.
    pub fn reencrypted(&self, times: u8) -> usize {
        self.0.reencrypted.iter().filter(|account| account.load(Ordering::Relaxed) == times).count()
    }

    /// Returns how many accounts were read so far.
    pub fn read(&self) -> usize {
        self.0.read.load(Ordering::Relaxed)
    }

    async fn answer(&self, request: HttpRequest) -> Option<Value> {
        let body: Value = serde_json::from_slice(request.body().bytes()?).ok()?;
        match request.headers().get("x-amz-target")?.rsplit('.').next()? {
            "Query" => self.query(&body),
            "GetItem" => self.account(number_in(body.pointer("/Key/sk/S")?.as_str()?)?).await,
            "TransactWriteItems" => {
                let written = body.pointer("/TransactItems/0/Put/Item/sk/S")?.as_str()?;
                self.0.reencrypted.get(number_in(written)?)?.fetch_add(1, Ordering::Relaxed);
                Some(json!({}))
            }
            _ => None,
        }
    }

    /// A page of a shard, or the trail of an owner, to whom nothing has happened yet.
    fn query(&self, body: &Value) -> Option<Value> {
        let text = |path: &str| body.pointer(path)?.as_str();
        if text("/ExpressionAttributeValues/:pk/S").is_some() {
            return Some(json!({"Items": []}));
        }
        let shard = text("/ExpressionAttributeValues/:shard/S")?.strip_prefix("ACC#")?;
        let shard = usize::from_str_radix(shard, 16).ok()?;
        let begin = text("/ExclusiveStartKey/sk/S").and_then(number_in).map_or(shard, |last| last + SHARDS);
        let limit = usize::try_from(body.get("Limit")?.as_u64()?).ok()?;
        let page: Vec<usize> = (begin..self.0.reencrypted.len()).step_by(SHARDS).take(limit).collect();
        let item = |number: &usize| json!({"trading_account": {"S": id("acc", *number)}, "account": {"S": id("usr", *number)}});
        let items: Vec<Value> = page.iter().map(item).collect();
        let mut answer = json!({ "Items": items });
        if let (Some(last), true) = (page.last(), page.len() == limit) {
            let sort = format!("ACC#{}", id("acc", *last));
            answer.as_object_mut()?.insert(
                "LastEvaluatedKey".to_owned(),
                json!({"pk": {"S": format!("ACC#{shard:02x}")}, "sk": {"S": sort}}),
            );
        }
        Some(answer)
    }

    /// The row of an account, encrypted a year ago.
    async fn account(&self, number: usize) -> Option<Value> {
        self.0.read.fetch_add(1, Ordering::Relaxed);
        let (owner, account) = (id("usr", number), id("acc", number));
        let context = EncryptionContext::new([
            ("user_id", owner.as_str()),
            ("account_id", account.as_str()),
            ("broker", BROKER),
            ("purpose", "broker-credentials"),
        ]);
        // A key and a secret, each with its length before it.
        let secrets = SecretSlice::from(b"\0\0\0\x03key\0\0\0\x06secret".to_vec());
        let sealed = sealing::seal(&secrets, &context, &OneKey(Arc::default()), &SystemEntropy).await.ok()?;
        let long_ago = self.0.key.0.now().as_millisecond() - 365 * 24 * 60 * 60 * 1_000;
        let long_ago = json!({"N": long_ago.to_string()});
        Some(json!({"Item": {
            "pk": {"S": format!("VAULT#{owner}")},
            "sk": {"S": format!("ACC#{account}")},
            "trading_account": {"S": account},
            "account": {"S": owner},
            "broker": {"S": BROKER},
            "broker_user": {"S": "AB1234"},
            "account_status": {"S": "active"},
            "created_at": long_ago,
            "api_key_hint": {"S": "…key"},
            "sealed_at": long_ago,
            "row_version": {"N": "1"},
            "credentials_key": {"B": encode(sealed.wrapped_key)},
            "credentials_secret": {"B": encode(sealed.ciphertext)},
        }}))
    }
}

/// The id of a number: in the shard of its last two digits, in the order of the numbers there.
fn id(prefix: &str, number: usize) -> String {
    format!("{prefix}_{number:032x}")
}

fn number_in(sort: &str) -> Option<usize> {
    usize::from_str_radix(sort.strip_prefix("ACC#acc_")?, 16).ok()
}

impl HttpClient for Crowd {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Crowd {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let crowd = self.clone();
        HttpConnectorFuture::new(async move {
            let Some(copy) = request.try_clone() else { return crowd.0.engine.call(request).await };
            match crowd.answer(copy).await {
                Some(answer) => {
                    let ok = StatusCode::try_from(200).unwrap_or_else(|_| unreachable!("a status"));
                    Ok(HttpResponse::new(ok, SdkBody::from(answer.to_string())))
                }
                None => crowd.0.engine.call(request).await,
            }
        })
    }
}
