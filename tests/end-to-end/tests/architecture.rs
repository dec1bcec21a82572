//! Which crate may know which: arrows point one way.
#![cfg(test)]

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// The crates of the product by what they are for, and the crates of ours each may depend on.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("portcullis-verifier", &[]),
    ("portcullis-edge", &["portcullis-verifier"]),
    ("portcullis-platform", &["portcullis-verifier"]),
    ("portcullis-store", &["portcullis-platform"]),
    ("portcullis-identity", &["portcullis-store", "portcullis-platform", "portcullis-verifier"]),
    ("portcullis-vault", &["portcullis-identity", "portcullis-store", "portcullis-platform"]),
    ("portcullis-broker-http", &["portcullis-platform"]),
    ("portcullis-smtp", &["portcullis-platform"]),
    (
        "portcullis-http",
        &["portcullis-identity", "portcullis-platform", "portcullis-vault", "portcullis-verifier"],
    ),
    ("portcullis-platform-embedded", &["portcullis-platform"]),
    ("portcullis-platform-aws", &["portcullis-platform"]),
    // Here the parts are put together, and nowhere else.
    (
        "portcullis-service",
        &[
            "portcullis-broker-http",
            "portcullis-http",
            "portcullis-identity",
            "portcullis-platform",
            "portcullis-platform-aws",
            "portcullis-platform-embedded",
            "portcullis-smtp",
            "portcullis-store",
            "portcullis-vault",
        ],
    ),
    (
        "portcullis-functions",
        &["portcullis-http", "portcullis-identity", "portcullis-platform", "portcullis-vault"],
    ),
    (
        "portcullis-bootstrap",
        &[
            "portcullis-functions",
            "portcullis-http",
            "portcullis-identity",
            "portcullis-platform",
            "portcullis-platform-aws",
            "portcullis-service",
            "portcullis-store",
            "portcullis-vault",
        ],
    ),
    (
        "portcullis-local",
        &[
            "portcullis-functions",
            "portcullis-http",
            "portcullis-identity",
            "portcullis-platform",
            "portcullis-platform-aws",
            "portcullis-platform-embedded",
            "portcullis-service",
            "portcullis-store",
            "portcullis-vault",
        ],
    ),
    (
        "portcullis-manage-users",
        &[
            "portcullis-identity",
            "portcullis-platform",
            "portcullis-platform-aws",
            "portcullis-platform-embedded",
            "portcullis-service",
            "portcullis-store",
            "portcullis-vault",
        ],
    ),
];

/// Who alone may name an engine or a service of the cloud.
const NAMED_BY: &[(&str, &[&str])] = &[
    ("aws-sdk-dynamodb", &["portcullis-store"]),
    ("dynoxide-rs", &["portcullis-platform-embedded"]),
    ("aws-sdk-kms", &["portcullis-platform-aws"]),
    ("aws-sdk-secretsmanager", &["portcullis-platform-aws", "portcullis-bootstrap"]),
    ("axum", &["portcullis-http", "portcullis-functions", "portcullis-bootstrap", "portcullis-local"]),
    ("argon2", &["portcullis-identity"]),
];

fn product() -> Vec<Package> {
    let metadata = MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec();
    let packages = metadata.expect("the workspace can be read").packages;
    packages.into_iter().filter(|package| !package.manifest_path.as_str().contains("/tests/")).collect()
}

/// Names of what a package is built with, tests aside.
fn knows(package: &Package) -> BTreeSet<&str> {
    let built_with = package.dependencies.iter().filter(|known| known.kind != DependencyKind::Development);
    built_with.map(|known| known.name.as_str()).collect()
}

#[test]
fn arrows_between_our_crates_point_one_way() {
    for package in product() {
        let name = package.name.as_str();
        let (_, allowed) = MAY_KNOW.iter().find(|(one, _)| *one == name).expect("every crate has its line");
        let ours = knows(&package).into_iter().filter(|known| known.starts_with("portcullis-"));
        for known in ours {
            assert!(allowed.contains(&known), "{name} may not know {known}");
        }
    }
}

#[test]
fn an_engine_is_named_by_its_own_crate_alone() {
    for package in product() {
        for known in knows(&package) {
            let Some((_, allowed)) = NAMED_BY.iter().find(|(named, _)| *named == known) else { continue };
            assert!(allowed.contains(&package.name.as_str()), "{} names {known}", package.name);
        }
    }
}

#[test]
fn what_is_shared_with_the_edge_is_pure() {
    let verifier = product().into_iter().find(|package| package.name.as_str() == "portcullis-verifier");
    for known in knows(&verifier.expect("it is there")) {
        let is_impure = ["tokio", "http", "axum", "reqwest", "getrandom", "rand", "jiff", "time", "chrono"]
            .contains(&known)
            || known.starts_with("aws-");
        assert!(!is_impure, "the verifier depends on {known}");
    }
}
