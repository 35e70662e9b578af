//! Classifiers on features: linear, naive Bayes, forest, stacked and fine-tuned.
//!
//! [`fitting::fit`] turns a [`fit_request::FitRequest`] (rows of features with their intents, and a spec) into a
//! [`fitted::Fitted`]; a fitted [`head::Head`] turns a row into one score for each intent.

pub(crate) mod dense;
pub(crate) mod fine_tuned;
pub(crate) mod fit_request;
pub(crate) mod fitted;
pub(crate) mod fitting;
pub(crate) mod forest;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod logistic;
pub(crate) mod naive_bayes;
pub(crate) mod plain;
pub(crate) mod pool;
pub(crate) mod stacked;
pub(crate) mod svm;
