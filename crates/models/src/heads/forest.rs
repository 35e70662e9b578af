//! Bagged decision trees on the features that separate the intents best.
//!
//! smartcore grows the trees, a few levels at a time: each step passes the rows of one node, and a new random draw of
//! the features that differ among them, to a smartcore tree of that depth, and copies its splits. A step therefore
//! reads only the rows of its node, where smartcore's own tree scans every row at every node, and the draws differ
//! within a tree, as in Breiman, "Random Forests", 2001. smartcore looks for a split only where the intent of
//! neighboring rows changes, so a single tree can miss one. Probabilities are the shares of the intents among the
//! training rows of a leaf, averaged over the trees.

use super::{
    fit_request::TrainingSet,
    head::{Head, HeadScratch, Tensor, malformed},
};
use botops_findings::{Fault, Result};
use botops_stats::random::Random;
use rayon::prelude::*;
use serde::Deserialize;
use smartcore::{
    linalg::basic::matrix::DenseMatrix,
    tree::decision_tree_classifier::{DecisionTreeClassifier, DecisionTreeClassifierParameters},
};

/// Settings of the forest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForestSpec {
    pub(crate) n_trees: usize,
    pub(crate) max_depth: u16,
    pub(crate) n_features: usize,
    pub(crate) seed: u64,
}

/// Levels grown in one step.
const LEVELS: u16 = 4;
/// Nodes of at most this many rows are grown to their leaves in one step.
const SMALL: usize = 64;
/// Marks a leaf, in place of a feature.
const LEAF: u32 = u32::MAX;

/// A fitted forest, with its trees in flat arrays.
///
/// - node i splits on reduced feature `feature[i]`: rows with a value of `threshold[i]` or less go to node
///   `first[i]`, the others to `second[i]`; both indices are above i, so every walk ends
/// - for a leaf, `feature[i]` is [`LEAF`], and its shares are the `second[i]` entries from `first[i]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forest {
    n_classes: usize,
    /// Columns that the trees use, rising; a reduced feature is an index into this list.
    columns: Vec<u32>,
    /// The reduced feature of each column, or [`LEAF`].
    reduced: Vec<u32>,
    roots: Vec<u32>,
    feature: Vec<u32>,
    threshold: Vec<f32>,
    first: Vec<u32>,
    second: Vec<u32>,
    leaf_class: Vec<u32>,
    leaf_share: Vec<f32>,
}

/// A forest, and its out-of-bag scores: each training row scored by the trees whose bags lack it.
pub(crate) struct GrownForest {
    pub(crate) forest: Forest,
    /// Scores `[n_rows, n_classes]`; they are equal for a row that is in every bag.
    pub(crate) out_of_bag: Vec<f64>,
    /// Whether the row is missing from at least one bag.
    pub(crate) has_vote: Vec<bool>,
}

/// Grows a forest on `set`; the result does not depend on the number of threads.
///
/// # Errors
/// `BOT-7012` (exit 3) if no feature differs between intents; `BOT-7013` (exit 1) if smartcore refuses a node.
pub(crate) fn fit(
    set: TrainingSet<'_>,
    spec: ForestSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<GrownForest> {
    let TrainingSet { x, rows, n_classes, .. } = set;
    let columns = select(set, spec.n_features);
    if columns.is_empty() {
        return Err(Fault::data("BOT-7012", "no feature differs between intents")
            .hint("lower `min_df` under `features:`, or add character n-grams"));
    }
    let reduced = reduced_features(&columns, x.n_features());
    // The rows as (reduced feature, value).
    let seen: Vec<Vec<(u32, f32)>> = rows
        .iter()
        .map(|&row| {
            let (columns, values) = x.row(row as usize);
            columns
                .iter()
                .zip(values)
                .filter(|(column, _)| reduced[**column as usize] != LEAF)
                .map(|(&column, &value)| (reduced[column as usize], value))
                .collect()
        })
        .collect();
    let truth: Vec<u32> = set.classes().collect();
    let grower = Grower { seen: &seen, truth: &truth, n_reduced: columns.len(), spec };
    let trees: Vec<Result<(Tree, Vec<bool>)>> = (0..spec.n_trees)
        .into_par_iter()
        .map(|tree| {
            let grown = grower.grow(Random::stream(spec.seed, tree as u64));
            advance(1);
            grown
        })
        .collect();
    let mut forest = Forest::empty(n_classes, columns, reduced);
    let mut bags = Vec::with_capacity(spec.n_trees);
    for tree in trees {
        let (tree, bag) = tree?;
        forest.add(&tree);
        bags.push(bag);
    }
    let (out_of_bag, has_vote) = out_of_bag(&forest, &seen, &bags);
    Ok(GrownForest { forest, out_of_bag, has_vote })
}

/// Returns the out-of-bag scores `[n_rows, n_classes]` of the rows `seen`, and whether each row has any.
fn out_of_bag(
    forest: &Forest,
    seen: &[Vec<(u32, f32)>],
    bags: &[Vec<bool>],
) -> (Vec<f64>, Vec<bool>) {
    let votes: Vec<(Vec<f64>, bool)> = seen
        .par_iter()
        .enumerate()
        .map_init(
            || vec![0.0; forest.columns.len()],
            |dense, (row, seen)| {
                for &(feature, value) in seen {
                    dense[feature as usize] = value;
                }
                let mut scores = vec![0.0; forest.n_classes];
                let trees = (0..bags.len()).filter(|&tree| !bags[tree][row]);
                let n = forest.vote(dense, trees, &mut scores);
                for &(feature, _) in seen {
                    dense[feature as usize] = 0.0;
                }
                (scores, n > 0)
            },
        )
        .collect();
    let has_vote = votes.iter().map(|(_, has_vote)| *has_vote).collect();
    (votes.into_iter().flat_map(|(scores, _)| scores).collect(), has_vote)
}

/// Returns the `n` columns with the largest chi-square between value and intent, rising; ties go to the lower column.
///
/// chi2_j = sum_k (O_jk - E_jk)^2 / E_jk, O_jk the sum of column j over the rows of intent k,
/// E_jk = (sum of column j) n_k / n. Columns that are always 0 are never selected.
/// Source: scikit-learn, `feature_selection.chi2`.
fn select(set: TrainingSet<'_>, n: usize) -> Vec<u32> {
    let TrainingSet { x, rows, y, n_classes } = set;
    let mut observed = vec![0.0_f64; x.n_features() * n_classes];
    let mut share = vec![0.0_f64; n_classes];
    for &row in rows {
        let class = y[row as usize] as usize;
        share[class] += 1.0 / rows.len() as f64;
        let (columns, values) = x.row(row as usize);
        for (&column, &value) in columns.iter().zip(values) {
            observed[column as usize * n_classes + class] += f64::from(value);
        }
    }
    let mut ranked: Vec<(f64, u32)> = (0..)
        .zip(observed.chunks_exact(n_classes))
        .filter_map(|(column, observed)| {
            let total: f64 = observed.iter().sum();
            let chi2: f64 = observed
                .iter()
                .zip(&share)
                .filter(|(_, share)| **share > 0.0)
                .map(|(observed, share)| (observed - share * total).powi(2) / (share * total))
                .sum();
            (total > 0.0).then_some((chi2, column))
        })
        .collect();
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut columns: Vec<u32> = ranked.into_iter().take(n).map(|(_, column)| column).collect();
    columns.sort_unstable();
    columns
}

/// Returns the reduced feature of each column, or [`LEAF`] for a column that is not among `columns`.
fn reduced_features(columns: &[u32], n_features: usize) -> Vec<u32> {
    let mut reduced = vec![LEAF; n_features];
    for (feature, &column) in (0..).zip(columns) {
        reduced[column as usize] = feature;
    }
    reduced
}

/// A grown tree; its root is the first node.
struct Tree {
    nodes: Vec<Node>,
}

enum Node {
    Split { feature: u32, threshold: f32, first: u32, second: u32 },
    Leaf { counts: Vec<(u32, u32)> },
}

/// A node that is not yet split: its index in the tree, its rows and its depth.
struct OpenNode {
    node: usize,
    rows: Vec<u32>,
    depth: u16,
}

/// The rows that all trees are grown on, as (reduced feature, value), and their classes.
struct Grower<'a> {
    seen: &'a [Vec<(u32, f32)>],
    truth: &'a [u32],
    n_reduced: usize,
    spec: ForestSpec,
}

/// The splits of a smartcore tree, read from its JSON form.
///
/// smartcore 0.7 keeps the nodes of a tree private and offers no accessor for them; `Serialize` is the only public way
/// to the splits. JSON is exact here: serde_json round-trips every finite `f64` (feature `float_roundtrip`).
#[derive(Deserialize)]
struct Splits {
    nodes: Vec<SplitNode>,
}

/// A node of a smartcore tree; a leaf has no children.
#[derive(Deserialize)]
struct SplitNode {
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

type SmartcoreTree = DecisionTreeClassifier<f32, u32, DenseMatrix<f32>, Vec<u32>>;

/// Working memory for growing one tree.
struct GrowScratch {
    /// The number of a node's rows that have the feature; all 0 between two nodes.
    present: Vec<u32>,
    /// The index of the feature among the drawn ones, or [`LEAF`].
    place: Vec<u32>,
}

impl Grower<'_> {
    /// Grows one tree on rows drawn with replacement; returns it, and for each row whether it is in the bag.
    fn grow(&self, mut random: Random) -> Result<(Tree, Vec<bool>)> {
        let n = self.seen.len();
        let mut bag = vec![false; n];
        let mut drawn: Vec<u32> = (0..n).map(|_| random.below(n) as u32).collect();
        drawn.sort_unstable();
        for &row in &drawn {
            bag[row as usize] = true;
        }
        let mut scratch =
            GrowScratch { present: vec![0; self.n_reduced], place: vec![LEAF; self.n_reduced] };
        let mut tree = Tree { nodes: vec![Node::Leaf { counts: Vec::new() }] };
        let mut open = vec![OpenNode { node: 0, rows: drawn, depth: 0 }];
        while let Some(next) = open.pop() {
            let OpenNode { node, rows, depth } = &next;
            let levels_left = self.spec.max_depth.saturating_sub(*depth);
            let pure =
                rows.iter().all(|&row| self.truth[row as usize] == self.truth[rows[0] as usize]);
            let splits = if pure || levels_left == 0 {
                None
            } else {
                let levels =
                    if rows.len() <= SMALL { levels_left } else { levels_left.min(LEVELS) };
                self.split(rows, levels, &mut random, &mut scratch)?
            };
            let Some((splits, features)) = splits else {
                tree.nodes[*node] = Node::Leaf { counts: self.class_counts(rows) };
                continue;
            };
            open.extend(self.copy_splits(&splits, &features, next, &mut tree));
        }
        Ok((tree, bag))
    }

    /// Returns the classes among `rows`, rising, each with its number of rows.
    fn class_counts(&self, rows: &[u32]) -> Vec<(u32, u32)> {
        let mut classes: Vec<u32> = rows.iter().map(|&row| self.truth[row as usize]).collect();
        classes.sort_unstable();
        classes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
    }

    /// Grows a smartcore tree of `levels` levels on `rows`; returns its splits and the features that they refer to, or
    /// `None` if nothing splits the rows.
    fn split(
        &self,
        rows: &[u32],
        levels: u16,
        random: &mut Random,
        scratch: &mut GrowScratch,
    ) -> Result<Option<(Splits, Vec<u32>)>> {
        let mut features = Vec::new();
        for &row in rows {
            for &(feature, _) in &self.seen[row as usize] {
                let present = &mut scratch.present[feature as usize];
                if *present == 0 {
                    features.push(feature);
                }
                *present += 1;
            }
        }
        // The draw is from a sorted list, so it does not depend on the order of the rows.
        features.sort_unstable();
        for &feature in &features {
            scratch.present[feature as usize] = 0;
        }
        let n_tried = (self.n_reduced as f64).sqrt().ceil() as usize;
        let n_drawn = n_tried.min(features.len());
        for i in 0..n_drawn {
            let j = i + random.below(features.len() - i);
            features.swap(i, j);
        }
        features.truncate(n_drawn);
        if features.is_empty() {
            return Ok(None);
        }
        for (place, &feature) in (0..).zip(&features) {
            scratch.place[feature as usize] = place;
        }
        let mut values = vec![0.0_f32; rows.len() * n_drawn];
        for (i, &row) in rows.iter().enumerate() {
            for &(feature, value) in &self.seen[row as usize] {
                let place = scratch.place[feature as usize];
                if place != LEAF {
                    values[place as usize * rows.len() + i] = value;
                }
            }
        }
        for &feature in &features {
            scratch.place[feature as usize] = LEAF;
        }
        let failed = |error: &dyn std::fmt::Display| {
            Fault::internal("BOT-7013", format!("a decision tree cannot be grown: {error}"))
        };
        let x = DenseMatrix::new(rows.len(), n_drawn, values, true).map_err(|e| failed(&e))?;
        let y: Vec<u32> = rows.iter().map(|&row| self.truth[row as usize]).collect();
        // smartcore counts the root as level 1.
        let depth = levels.saturating_add(1);
        let parameters = DecisionTreeClassifierParameters::default().with_max_depth(depth);
        let tree: SmartcoreTree =
            DecisionTreeClassifier::fit(&x, &y, parameters).map_err(|e| failed(&e))?;
        let json = serde_json::to_vec(&tree).map_err(|e| failed(&e))?;
        let splits: Splits = serde_json::from_slice(&json).map_err(|e| failed(&e))?;
        Ok(splits.nodes[0].true_child.is_some().then_some((splits, features)))
    }

    /// Replaces the node `target` of `tree` by `splits` of `features`, and returns the nodes at their leaves.
    fn copy_splits(
        &self,
        splits: &Splits,
        features: &[u32],
        target: OpenNode,
        tree: &mut Tree,
    ) -> Vec<OpenNode> {
        let mut leaves = Vec::new();
        let mut stack = vec![(0_usize, target)];
        while let Some((from, target)) = stack.pop() {
            let source = &splits.nodes[from];
            let (Some(first), Some(second), Some(threshold)) =
                (source.true_child, source.false_child, source.split_value)
            else {
                leaves.push(target);
                continue;
            };
            let OpenNode { node, rows, depth } = target;
            let feature = features[source.split_feature];
            let threshold = threshold as f32;
            let (low, high): (Vec<u32>, Vec<u32>) =
                rows.into_iter().partition(|&row| self.value(row, feature) <= threshold);
            let child = tree.nodes.len();
            tree.nodes.push(Node::Leaf { counts: Vec::new() });
            tree.nodes.push(Node::Leaf { counts: Vec::new() });
            tree.nodes[node] =
                Node::Split { feature, threshold, first: child as u32, second: child as u32 + 1 };
            stack.push((second, OpenNode { node: child + 1, rows: high, depth: depth + 1 }));
            stack.push((first, OpenNode { node: child, rows: low, depth: depth + 1 }));
        }
        leaves
    }

    /// Returns the value of reduced feature `feature` in `row`; 0 if the row has no entry for it.
    fn value(&self, row: u32, feature: u32) -> f32 {
        let seen = &self.seen[row as usize];
        seen.binary_search_by_key(&feature, |&(feature, _)| feature).map_or(0.0, |at| seen[at].1)
    }
}

impl Forest {
    /// Makes a forest without trees.
    fn empty(n_classes: usize, columns: Vec<u32>, reduced: Vec<u32>) -> Self {
        Self {
            n_classes,
            columns,
            reduced,
            roots: Vec::new(),
            feature: Vec::new(),
            threshold: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            leaf_class: Vec::new(),
            leaf_share: Vec::new(),
        }
    }

    /// Appends `tree` to the arrays.
    fn add(&mut self, tree: &Tree) {
        let root = self.feature.len() as u32;
        self.roots.push(root);
        for node in &tree.nodes {
            match node {
                Node::Split { feature, threshold, first, second } => {
                    self.feature.push(*feature);
                    self.threshold.push(*threshold);
                    self.first.push(root + first);
                    self.second.push(root + second);
                }
                Node::Leaf { counts } => {
                    self.feature.push(LEAF);
                    self.threshold.push(0.0);
                    self.first.push(self.leaf_class.len() as u32);
                    self.second.push(counts.len() as u32);
                    let n: u32 = counts.iter().map(|(_, count)| count).sum();
                    for &(class, count) in counts {
                        self.leaf_class.push(class);
                        self.leaf_share.push(count as f32 / n as f32);
                    }
                }
            }
        }
    }

    /// Writes the log of the mean share of each intent over `trees` and one uniform tree; returns the number of `trees`.
    ///
    /// The uniform tree gives every intent the same share, so no intent has probability 0.
    fn vote(&self, dense: &[f32], trees: impl Iterator<Item = usize>, scores: &mut [f64]) -> usize {
        scores.fill(1.0 / self.n_classes as f64);
        let mut n = 0;
        for tree in trees {
            n += 1;
            let mut node = self.roots[tree] as usize;
            while self.feature[node] != LEAF {
                let low = dense[self.feature[node] as usize] <= self.threshold[node];
                node = if low { self.first[node] } else { self.second[node] } as usize;
            }
            let start = self.first[node] as usize;
            for at in start..start + self.second[node] as usize {
                scores[self.leaf_class[at] as usize] += f64::from(self.leaf_share[at]);
            }
        }
        for score in scores {
            *score = (*score / (n + 1) as f64).ln();
        }
        n
    }

    /// Reads the tensors that [`Head::tensors`] returned, and checks that every walk stays inside the arrays and ends.
    pub(crate) fn from_tensors(
        tensors: &[Tensor],
        n_features: usize,
        n_classes: usize,
    ) -> Result<Self> {
        let integers = |name| Tensor::integers(tensors, name).map(<[u32]>::to_vec);
        let columns = integers("columns")?;
        let roots = integers("roots")?;
        let feature = integers("feature")?;
        let first = integers("first")?;
        let second = integers("second")?;
        let leaf_class = integers("leaf_class")?;
        let n = feature.len();
        let threshold = Tensor::floats(tensors, "threshold", &[n])?.to_vec();
        let leaf_share = Tensor::floats(tensors, "leaf_share", &[leaf_class.len()])?.to_vec();
        let valid = columns.is_sorted_by(|a, b| a < b)
            && columns.last().is_some_and(|&last| (last as usize) < n_features)
            && !roots.is_empty()
            && roots.iter().all(|&root| (root as usize) < n)
            && [first.len(), second.len()] == [n, n]
            && threshold.iter().all(|value| value.is_finite())
            && leaf_class.iter().all(|&class| (class as usize) < n_classes)
            && leaf_share.iter().all(|share| (0.0..=1.0).contains(share))
            && (0..n).all(|node| match feature[node] {
                LEAF => first[node] as usize + second[node] as usize <= leaf_class.len(),
                feature => {
                    (feature as usize) < columns.len()
                        && [first[node], second[node]]
                            .iter()
                            .all(|&child| (node + 1..n).contains(&(child as usize)))
                }
            });
        if !valid {
            return Err(malformed("has invalid decision trees"));
        }
        let reduced = reduced_features(&columns, n_features);
        Ok(Self {
            n_classes,
            columns,
            reduced,
            roots,
            feature,
            threshold,
            first,
            second,
            leaf_class,
            leaf_share,
        })
    }
}

impl Head for Forest {
    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn scores(&self, row: &[(u32, f32)], scratch: &mut HeadScratch, scores: &mut [f64]) {
        let dense = &mut scratch.dense;
        if dense.len() < self.columns.len() {
            dense.resize(self.columns.len(), 0.0);
        }
        for &(column, value) in row {
            if let Some(place) = dense.get_mut(self.reduced[column as usize] as usize) {
                *place = value;
            }
        }
        self.vote(dense, 0..self.roots.len(), scores);
        for &(column, _) in row {
            if let Some(place) = dense.get_mut(self.reduced[column as usize] as usize) {
                *place = 0.0;
            }
        }
    }

    fn contribution(&self, _: u32, _: f32, _: usize) -> Option<f64> {
        None
    }

    fn intercept(&self, _: usize) -> Option<f64> {
        None
    }

    fn tensors(&self) -> Vec<Tensor> {
        let n = self.feature.len();
        vec![
            Tensor::of_integers("columns", self.columns.clone()),
            Tensor::of_integers("feature", self.feature.clone()),
            Tensor::of_integers("first", self.first.clone()),
            Tensor::of_integers("leaf_class", self.leaf_class.clone()),
            Tensor::of_floats("leaf_share", vec![self.leaf_share.len()], self.leaf_share.clone()),
            Tensor::of_integers("roots", self.roots.clone()),
            Tensor::of_integers("second", self.second.clone()),
            Tensor::of_floats("threshold", vec![n], self.threshold.clone()),
        ]
    }
}
