//! Bagged decision trees on the features that tell intents apart best.
//!
//! The trees are smartcore's, grown a few levels at a time: at each such step a node's rows, and a
//! fresh draw of the features that differ among them, go to a decision tree of that depth, whose
//! splits are taken over. So each step looks only at the rows that reach it, and the draws differ
//! within a tree as in Breiman, "Random Forests", 2001; smartcore's own tree scans every row at
//! every node. It looks for a split only where the intent of neighboring rows changes, so now and
//! then a tree misses one; the others make up for it. Probabilities are the shares of intents among
//! the rows that grew a leaf, averaged over the trees.

use super::head::{Head, HeadScratch, Tensor, malformed};
use botops_features::FeatureMatrix;
use botops_findings::{Fault, Result};
use botops_stats::random::Random;
use rayon::prelude::*;
use serde::Deserialize;
use smartcore::{
    linalg::basic::matrix::DenseMatrix,
    tree::decision_tree_classifier::{DecisionTreeClassifier, DecisionTreeClassifierParameters},
};

/// How to grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForestSpec {
    pub(crate) n_trees: usize,
    pub(crate) max_depth: u16,
    pub(crate) n_features: usize,
    pub(crate) seed: u64,
}

/// Levels grown in one step.
const LEVELS: u16 = 4;
/// Nodes of no more rows than this are grown to their end in one step.
const SMALL: usize = 64;
/// In place of a feature: a leaf.
const LEAF: u32 = u32::MAX;

/// A fitted forest, its trees in flat arrays.
///
/// - node i splits on reduced feature `feature[i]`: rows with a value of `threshold[i]` or less go to node
///   `first[i]`, the others to `second[i]`; both come after i, so that every walk ends
/// - of a leaf, `feature[i]` is [`LEAF`], and its shares are `second[i]` entries from `first[i]` on
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forest {
    n_classes: usize,
    /// Columns the trees see, rising; a reduced feature is a place in here.
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

/// A forest, and what it says of the rows it was grown on by those trees that did not see them.
pub(crate) struct Grown {
    pub(crate) forest: Forest,
    /// Scores `[n_rows, n_classes]`; rows that all trees saw say nothing.
    pub(crate) out_of_bag: Vec<f64>,
    /// Whether any tree did not see the row.
    pub(crate) has_vote: Vec<bool>,
}

/// Grows on `rows` of `x`, whose intents are `y[row]`; the same on any number of threads.
///
/// # Errors
/// `BOT-7012` when no feature tells intents apart; `BOT-7013` (exit 1) when smartcore refuses a node.
pub(crate) fn fit(
    x: &FeatureMatrix,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: ForestSpec,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<Grown> {
    let columns = select(x, rows, y, n_classes, spec.n_features);
    if columns.is_empty() {
        return Err(Fault::data("BOT-7012", "no feature differs between intents")
            .hint("lower `min_df` under `features:`, or add n-grams of characters"));
    }
    let reduced = places(&columns, x.n_features());
    // The rows as the trees see them: (reduced feature, value).
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
    let truth: Vec<u32> = rows.iter().map(|&row| y[row as usize]).collect();
    let grower = Grower { seen: &seen, truth: &truth, n_reduced: columns.len(), spec };
    let trees: Vec<Result<(Tree, Vec<bool>)>> = (0..spec.n_trees)
        .into_par_iter()
        .map(|tree| {
            let grown = grower.grow(Random::stream(spec.seed, tree as u64));
            advance(1);
            grown
        })
        .collect();
    let mut forest = Forest {
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
    };
    let mut bags = Vec::with_capacity(spec.n_trees);
    for tree in trees {
        let (tree, bag) = tree?;
        forest.plant(&tree);
        bags.push(bag);
    }
    let votes: Vec<(Vec<f64>, bool)> = seen
        .par_iter()
        .enumerate()
        .map_init(
            || vec![0.0; forest.columns.len()],
            |dense, (row, seen)| {
                for &(feature, value) in seen {
                    dense[feature as usize] = value;
                }
                let mut scores = vec![0.0; n_classes];
                let trees = (0..spec.n_trees).filter(|&tree| !bags[tree][row]);
                let n = forest.vote(dense, trees, &mut scores);
                for &(feature, _) in seen {
                    dense[feature as usize] = 0.0;
                }
                (scores, n > 0)
            },
        )
        .collect();
    let has_vote = votes.iter().map(|(_, voted)| *voted).collect();
    let out_of_bag = votes.into_iter().flat_map(|(scores, _)| scores).collect();
    Ok(Grown { forest, out_of_bag, has_vote })
}

/// Returns the `n` columns with the largest chi-square between value and intent, rising; ties go to the lower column.
///
/// chi2_j = sum_k (O_jk - E_jk)^2 / E_jk, O_jk the sum of column j over rows of intent k, E_jk = sum_j n_k / n.
/// Columns that are 0 throughout have none. Source: scikit-learn, `feature_selection.chi2`.
fn select(x: &FeatureMatrix, rows: &[u32], y: &[u32], n_classes: usize, n: usize) -> Vec<u32> {
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

fn places(columns: &[u32], n_features: usize) -> Vec<u32> {
    let mut places = vec![LEAF; n_features];
    for (place, &column) in (0..).zip(columns) {
        places[column as usize] = place;
    }
    places
}

#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
}

enum Node {
    Split { feature: u32, threshold: f32, first: u32, second: u32 },
    Leaf { counts: Vec<(u32, u32)> },
}

struct Grower<'a> {
    seen: &'a [Vec<(u32, f32)>],
    truth: &'a [u32],
    n_reduced: usize,
    spec: ForestSpec,
}

/// What is read of a smartcore tree: its fields are private, its serialised form is not.
#[derive(Deserialize)]
struct Part {
    nodes: Vec<PartNode>,
}

#[derive(Deserialize)]
struct PartNode {
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

type SmartcoreTree = DecisionTreeClassifier<f32, u32, DenseMatrix<f32>, Vec<u32>>;

/// Working memory of a thread that grows.
struct Bench {
    /// How many of a node's rows have the feature; all 0 between two nodes.
    present: Vec<u32>,
    /// The feature's place among those drawn, or [`LEAF`].
    place: Vec<u32>,
}

impl Grower<'_> {
    /// Grows one tree on rows drawn with replacement; returns it and which rows it saw.
    fn grow(&self, mut random: Random) -> Result<(Tree, Vec<bool>)> {
        let n = self.seen.len();
        let mut bag = vec![false; n];
        let mut drawn: Vec<u32> = (0..n).map(|_| random.below(n) as u32).collect();
        drawn.sort_unstable();
        for &row in &drawn {
            bag[row as usize] = true;
        }
        let mut bench =
            Bench { present: vec![0; self.n_reduced], place: vec![LEAF; self.n_reduced] };
        let mut tree = Tree::default();
        tree.nodes.push(Node::Leaf { counts: Vec::new() });
        let mut waiting = vec![(0_usize, drawn, 0_u16)];
        while let Some((node, rows, depth)) = waiting.pop() {
            let left = self.spec.max_depth.saturating_sub(depth);
            let pure =
                rows.iter().all(|&row| self.truth[row as usize] == self.truth[rows[0] as usize]);
            let part = if pure || left == 0 {
                None
            } else {
                let levels = if rows.len() <= SMALL { left } else { left.min(LEVELS) };
                self.step(&rows, levels, &mut random, &mut bench)?
            };
            let Some((part, features)) = part else {
                tree.nodes[node] = Node::Leaf { counts: self.count(&rows) };
                continue;
            };
            self.take_over(&part, &features, node, rows, depth, &mut tree, &mut waiting);
        }
        Ok((tree, bag))
    }

    fn count(&self, rows: &[u32]) -> Vec<(u32, u32)> {
        let mut classes: Vec<u32> = rows.iter().map(|&row| self.truth[row as usize]).collect();
        classes.sort_unstable();
        classes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
    }

    /// Lets smartcore grow a tree of `levels` splits on `rows`; `None` when nothing splits them.
    fn step(
        &self,
        rows: &[u32],
        levels: u16,
        random: &mut Random,
        bench: &mut Bench,
    ) -> Result<Option<(Part, Vec<u32>)>> {
        let mut met = Vec::new();
        for &row in rows {
            for &(feature, _) in &self.seen[row as usize] {
                let present = &mut bench.present[feature as usize];
                if *present == 0 {
                    met.push(feature);
                }
                *present += 1;
            }
        }
        // Order of meeting depends on the rows alone, which are sorted; the draw is over a sorted list all the same.
        met.sort_unstable();
        for &feature in &met {
            bench.present[feature as usize] = 0;
        }
        let wanted = (self.n_reduced as f64).sqrt().ceil() as usize;
        let n_drawn = wanted.min(met.len());
        for i in 0..n_drawn {
            let j = i + random.below(met.len() - i);
            met.swap(i, j);
        }
        met.truncate(n_drawn);
        if met.is_empty() {
            return Ok(None);
        }
        for (place, &feature) in (0..).zip(&met) {
            bench.place[feature as usize] = place;
        }
        let mut values = vec![0.0_f32; rows.len() * n_drawn];
        for (i, &row) in rows.iter().enumerate() {
            for &(feature, value) in &self.seen[row as usize] {
                let place = bench.place[feature as usize];
                if place != LEAF {
                    values[place as usize * rows.len() + i] = value;
                }
            }
        }
        for &feature in &met {
            bench.place[feature as usize] = LEAF;
        }
        let refused = |error: &dyn std::fmt::Display| {
            Fault::internal("BOT-7013", format!("a decision tree cannot be grown: {error}"))
        };
        let x = DenseMatrix::new(rows.len(), n_drawn, values, true).map_err(|e| refused(&e))?;
        let y: Vec<u32> = rows.iter().map(|&row| self.truth[row as usize]).collect();
        // smartcore counts the root as level 1.
        let depth = levels.saturating_add(1);
        let parameters = DecisionTreeClassifierParameters::default().with_max_depth(depth);
        let tree: SmartcoreTree =
            DecisionTreeClassifier::fit(&x, &y, parameters).map_err(|e| refused(&e))?;
        let part = serde_json::to_vec(&tree).map_err(|e| refused(&e))?;
        let part: Part = serde_json::from_slice(&part).map_err(|e| refused(&e))?;
        Ok(part.nodes[0].true_child.is_some().then_some((part, met)))
    }

    /// Puts the splits of `part` in the place of `node`, and its leaves on the waiting list.
    #[expect(clippy::too_many_arguments, reason = "the state of one tree's growth")]
    fn take_over(
        &self,
        part: &Part,
        features: &[u32],
        node: usize,
        rows: Vec<u32>,
        depth: u16,
        tree: &mut Tree,
        waiting: &mut Vec<(usize, Vec<u32>, u16)>,
    ) {
        let mut open = vec![(0_usize, node, rows, depth)];
        while let Some((from, to, rows, depth)) = open.pop() {
            let part_node = &part.nodes[from];
            let (Some(first), Some(second), Some(threshold)) =
                (part_node.true_child, part_node.false_child, part_node.split_value)
            else {
                waiting.push((to, rows, depth));
                continue;
            };
            let feature = features[part_node.split_feature];
            let threshold = threshold as f32;
            let (low, high): (Vec<u32>, Vec<u32>) =
                rows.into_iter().partition(|&row| self.value(row, feature) <= threshold);
            let at = tree.nodes.len();
            tree.nodes.push(Node::Leaf { counts: Vec::new() });
            tree.nodes.push(Node::Leaf { counts: Vec::new() });
            tree.nodes[to] =
                Node::Split { feature, threshold, first: at as u32, second: at as u32 + 1 };
            open.push((second, at + 1, high, depth + 1));
            open.push((first, at, low, depth + 1));
        }
    }

    fn value(&self, row: u32, feature: u32) -> f32 {
        let seen = &self.seen[row as usize];
        seen.binary_search_by_key(&feature, |&(feature, _)| feature).map_or(0.0, |at| seen[at].1)
    }
}

impl Forest {
    fn plant(&mut self, tree: &Tree) {
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

    /// Writes ln of the mean share of each intent over `trees` and one tree more that knows nothing, and returns how many there were.
    ///
    /// The tree more keeps intents that no leaf names from being impossible.
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

    /// Reads what [`Head::tensors`] gave, and checks that every walk stays inside and ends.
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
        let sound = columns.is_sorted_by(|a, b| a < b)
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
        if !sound {
            return Err(malformed("has trees that lead nowhere"));
        }
        let reduced = places(&columns, n_features);
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
