//! A year of rotations, and a holder of a service token who is told of none of them.
#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_bootstrap::key_rotation::{Circumstances, rotated};
use portcullis_harness::in_process::{CHEAP_HASHES, World, operations_on, platform};
use portcullis_identity::{Error, Identity};
use portcullis_platform::{
    Clock, Environment, SecretName, ServiceTokens, ServiceTokensInUse, SigningAlgorithm, SystemEntropy,
};
use portcullis_platform_aws::secrets::Document;
use secrecy::{ExposeSecret, SecretString};

const DAY: Duration = Duration::from_hours(24);

/// A deployment: its secrets, the processes that know them, and the table.
struct Deployment {
    world: World,
    document: Document,
    identity: Arc<Identity>,
}

impl Deployment {
    async fn new() -> Self {
        let world = World::new(1).await;
        let mut new = Self { identity: Arc::clone(&world.identity), document: Document::default(), world };
        new.rotate().await;
        new
    }

    /// What Secrets Manager has the rotation do, and what functions do within five minutes.
    async fn rotate(&mut self) {
        let mut in_use = ServiceTokensInUse::new();
        for (service, _) in self.tokens().iter() {
            in_use.insert(service.to_owned(), self.world.truth.service_tokens_in_use(service).await.unwrap());
        }
        let given = Circumstances {
            made_at: None,
            now: self.world.clock.now(),
            least_age: Duration::ZERO,
            // The quickest to make.
            algorithm: SigningAlgorithm::EdDSA,
            in_use: &in_use,
        };
        let before = std::mem::take(&mut self.document);
        self.document = rotated(before, &given, &SystemEntropy).unwrap().document;
        self.take_up().await;
    }

    async fn take_up(&mut self) {
        let tokens = self.tokens().to_json();
        let environment: Environment =
            [(SecretName::ServiceTokens.as_str(), tokens.expose_secret())].into_iter().collect();
        let platform = platform(&environment, self.world.identity.store.clone(), self.world.clock.clone());
        self.identity = operations_on(&platform, &environment, CHEAP_HASHES).await.identity;
    }

    fn tokens(&self) -> ServiceTokens {
        let entry = self.document.0.get(SecretName::ServiceTokens.as_str());
        let tokens = entry.map(|entry| ServiceTokens::parse(entry.current.expose_secret().as_bytes()));
        tokens.transpose().unwrap().unwrap_or_default()
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        self.tokens().iter().map(|(name, tokens)| (name.to_owned(), tokens.len())).collect()
    }

    /// The token that an operator finds first in the secret.
    fn newest(&self, service: &str) -> SecretString {
        self.tokens().iter().find(|(name, _)| *name == service).unwrap().1[0].clone()
    }

    async fn accepts(&self, token: &SecretString) -> bool {
        match self.identity.authenticate_service(token).await {
            Ok(_) => true,
            Err(Error::InvalidServiceToken) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_token_of_an_edge_that_is_told_three_times_a_year_works_through_a_year_of_rotations() {
    let mut deployment = Deployment::new().await;
    let mut edge = deployment.newest("edge");
    let mut given = vec![edge.clone()];
    for day in 1..=365 {
        if day % 30 == 0 {
            deployment.rotate().await;
        }
        // Before, on the very day of, and long after the edge's operator was there.
        if [99, 150, 201, 330].contains(&day) {
            for _ in 0..3 {
                deployment.rotate().await;
                deployment.world.clock.advance(Duration::from_mins(10));
                assert!(deployment.accepts(&edge).await, "day {day}, in the middle of a leak");
            }
        }
        if day % 100 == 0 {
            edge = deployment.newest("edge");
            given.push(edge.clone());
        }
        for _ in 0..4 {
            deployment.world.clock.advance(DAY / 4);
            assert!(deployment.accepts(&edge).await, "day {day}");
        }
        assert!(deployment.counts().values().all(|count| *count <= 3), "day {day}");
    }
    let texts: Vec<&str> = given.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(
        texts.iter().collect::<std::collections::BTreeSet<_>>().len(),
        4,
        "each time it was another one"
    );
    for old in &given[..2] {
        assert!(!deployment.accepts(old).await, "what was replaced is forgotten");
    }
    assert_eq!(deployment.counts()["ticker"], 1, "nothing is piled up for a service that nobody runs");
}

#[tokio::test]
async fn who_has_confirmed_the_new_token_loses_the_old_one_at_the_next_rotation() {
    let mut deployment = Deployment::new().await;
    let old = deployment.newest("trading");
    assert!(deployment.accepts(&old).await);
    deployment.rotate().await;
    let new = deployment.newest("trading");
    deployment.world.clock.advance(30 * DAY);
    deployment.rotate().await;
    assert!(deployment.accepts(&old).await, "its holder was not there yet");
    deployment.world.clock.advance(2 * DAY);
    assert!(deployment.accepts(&new).await);
    assert!(deployment.accepts(&old).await, "until a rotation, both");
    deployment.world.clock.advance(2 * DAY);
    deployment.rotate().await;
    assert!(deployment.accepts(&new).await && !deployment.accepts(&old).await);
}

#[tokio::test]
async fn a_holder_of_many_processes_is_not_cut_off_half_way() {
    let mut deployment = Deployment::new().await;
    let first = deployment.newest("trading");
    assert!(deployment.accepts(&first).await);
    for _ in 0..4 {
        deployment.rotate().await;
        // One process takes the newest each time, and one goes on with the first.
        let newest = deployment.newest("trading");
        assert!(deployment.accepts(&newest).await && deployment.accepts(&first).await);
        deployment.world.clock.advance(DAY / 4);
    }
    assert_eq!(deployment.counts()["trading"], 3, "and there is no fourth");
}

#[tokio::test]
async fn a_leaked_token_dies_at_once_however_much_it_is_used() {
    let mut deployment = Deployment::new().await;
    let leaked = deployment.newest("edge");
    assert!(deployment.accepts(&leaked).await);
    let mut tokens = deployment.tokens();
    let new = tokens.add("edge", &SystemEntropy).unwrap();
    tokens.withdraw("edge");
    deployment.document.0.get_mut(SecretName::ServiceTokens.as_str()).unwrap().current = tokens.to_json();
    deployment.take_up().await;
    assert!(!deployment.accepts(&leaked).await && deployment.accepts(&new).await);
    deployment.rotate().await;
    assert!(!deployment.accepts(&leaked).await && deployment.accepts(&new).await);
}

#[tokio::test]
async fn a_table_that_does_not_take_the_note_refuses_nobody_and_is_asked_again_a_minute_later() {
    let deployment = Deployment::new().await;
    let token = deployment.newest("edge");
    let noted = async || !deployment.world.truth.service_tokens_in_use("edge").await.unwrap().is_empty();
    deployment.world.faults.go_down_after(0);
    assert!(deployment.accepts(&token).await);
    deployment.world.faults.come_back();
    assert!(deployment.accepts(&token).await && !noted().await, "not at once");
    deployment.world.clock.advance(Duration::from_mins(1));
    assert!(deployment.accepts(&token).await && noted().await);
}
