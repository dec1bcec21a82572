//! What failed and why, as one line for whoever operates the service.

use std::error::Error;

/// Returns the error and each cause behind it, separated by colons. For logs and terminals: nothing of it may reach a
/// client of the API.
pub fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{1}")]
    struct Step(#[source] Option<Box<Step>>, &'static str);

    #[test]
    fn every_cause_is_named_once_and_in_order() {
        let root = Step(None, "connection refused");
        assert_eq!(with_causes(&root), "connection refused");
        let top = Step(Some(Box::new(Step(Some(Box::new(root)), "the store failed"))), "sign-in failed");
        assert_eq!(with_causes(&top), "sign-in failed: the store failed: connection refused");
    }
}
