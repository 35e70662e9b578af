//! Classifiers on features: linear, naive Bayes, forest, stacked and fine-tuned.

pub(crate) mod dense;
pub(crate) mod fine_tuned;
pub(crate) mod forest;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod logistic;
pub(crate) mod naive_bayes;
pub(crate) mod pool;
pub(crate) mod stacked;
pub(crate) mod svm;
