//! Tensors of the Open Inference Protocol: texts in, numbers and names out, as JSON or as bytes after it.
//!
//! A text is a `BYTES` tensor. After the JSON ("binary data"), each of its elements begins with its length in four bytes,
//! little-endian; numbers are little-endian too.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A tensor of a request.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InputTensor {
    /// Its name.
    pub(super) name: String,
    /// Its shape.
    pub(super) shape: Vec<u64>,
    /// Its data type.
    pub(super) datatype: String,
    /// `binary_data_size`, if the data comes after the JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) parameters: Map<String, Value>,
    /// The data: a list, nested or not.
    #[serde(default)]
    pub(super) data: Option<Value>,
}

impl InputTensor {
    /// Returns the texts of the tensor, whose bytes are taken from the begin of `after` if they come after the JSON.
    ///
    /// # Errors
    /// The problem in words.
    pub(super) fn texts(&self, after: &mut &[u8]) -> Result<Vec<String>, String> {
        let name = botops_text::display(&self.name, 40);
        if self.datatype != "BYTES" {
            let kind = botops_text::display(&self.datatype, 20);
            return Err(format!("`{name}` has the data type `{kind}`, not `BYTES`"));
        }
        if let Some(other) = self.parameters.keys().find(|key| *key != "binary_data_size") {
            let other = botops_text::display(other, 40);
            return Err(format!("`{name}` has the parameter `{other}`, which is not supported"));
        }
        let texts = match (self.parameters.get("binary_data_size"), &self.data) {
            (Some(size), None) => {
                let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
                let Some((bytes, rest)) = size.and_then(|size| after.split_at_checked(size)) else {
                    return Err(format!("`{name}` is longer than the data after the JSON"));
                };
                *after = rest;
                unpack(bytes).ok_or_else(|| {
                    format!("`{name}` does not consist of lengths and UTF-8 texts")
                })?
            }
            (None, Some(data)) => {
                let mut texts = Vec::new();
                flatten(data, &mut texts)
                    .ok_or_else(|| format!("`{name}` holds something else than texts"))?;
                texts
            }
            _ => return Err(format!("`{name}` needs either `data` or `binary_data_size`")),
        };
        let n = self.shape.iter().try_fold(1_u64, |n, side| n.checked_mul(*side));
        if n != Some(texts.len() as u64) {
            let n = texts.len();
            return Err(format!("`{name}` has {n} elements, and its shape another number"));
        }
        Ok(texts)
    }
}

/// Adds the texts of a list of lists of texts; `None` if it holds anything else.
fn flatten(data: &Value, to: &mut Vec<String>) -> Option<()> {
    match data {
        Value::String(text) => to.push(text.clone()),
        Value::Array(items) => items.iter().try_for_each(|item| flatten(item, to))?,
        _ => return None,
    }
    Some(())
}

fn unpack(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        texts.push(std::str::from_utf8(text).ok()?.to_owned());
        bytes = rest;
    }
    Some(texts)
}

/// The data of a tensor of an answer.
#[derive(Debug)]
pub(super) enum OutputData {
    /// Texts.
    Bytes(Vec<String>),
    /// Numbers.
    Fp64(Vec<f64>),
    /// Whether something is so.
    Bool(Vec<bool>),
}

/// A tensor of an answer.
#[derive(Debug)]
pub(super) struct OutputTensor {
    /// Its name.
    pub(super) name: &'static str,
    /// Its shape.
    pub(super) shape: Vec<usize>,
    /// Its data.
    pub(super) data: OutputData,
    /// Further facts about it.
    pub(super) parameters: Map<String, Value>,
}

impl OutputTensor {
    /// Returns the tensor as JSON. With `after`, its data is added there, and the JSON gives its size.
    pub(super) fn write(self, after: Option<&mut Vec<u8>>) -> Value {
        let Self { name, shape, data, mut parameters } = self;
        let datatype = match data {
            OutputData::Bytes(_) => "BYTES",
            OutputData::Fp64(_) => "FP64",
            OutputData::Bool(_) => "BOOL",
        };
        let mut tensor = json!({"name": name, "datatype": datatype, "shape": shape});
        match after {
            None => {
                tensor["data"] = match data {
                    OutputData::Bytes(texts) => json!(texts),
                    OutputData::Fp64(numbers) => json!(numbers),
                    OutputData::Bool(truths) => json!(truths),
                }
            }
            Some(after) => {
                let before = after.len();
                match data {
                    OutputData::Bytes(texts) => {
                        for text in texts {
                            let length = u32::try_from(text.len()).expect("a name is short");
                            after.extend_from_slice(&length.to_le_bytes());
                            after.extend_from_slice(text.as_bytes());
                        }
                    }
                    OutputData::Fp64(numbers) => {
                        after.extend(numbers.into_iter().flat_map(f64::to_le_bytes));
                    }
                    OutputData::Bool(truths) => after.extend(truths.into_iter().map(u8::from)),
                }
                parameters.insert("binary_data_size".to_owned(), json!(after.len() - before));
            }
        }
        if !parameters.is_empty() {
            tensor["parameters"] = Value::Object(parameters);
        }
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(value: Value) -> InputTensor {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn texts_come_as_json_of_any_nesting_or_as_bytes() {
        let text = |value| tensor(value).texts(&mut &b""[..]);
        let of = |shape: Value, data: Value| json!({"name": "text", "shape": shape, "datatype": "BYTES", "data": data});
        assert_eq!(text(of(json!([2]), json!(["a", "é"]))).unwrap(), ["a", "é"]);
        assert_eq!(text(of(json!([2, 1]), json!([["a"], ["b"]]))).unwrap(), ["a", "b"]);
        assert_eq!(text(of(json!([]), json!("a"))).unwrap(), ["a"], "a scalar");
        assert!(text(of(json!([3]), json!(["a", "b"]))).unwrap_err().contains("2 elements"));
        assert!(text(of(json!([1]), json!([1]))).unwrap_err().contains("something else"));
        assert!(text(of(json!([u64::MAX, 2]), json!(["a"]))).is_err(), "no overflow");
        let packed = b"\x01\0\0\0a\x02\0\0\0\xc3\xa9rest";
        let binary = |size: usize| {
            tensor(json!({
                "name": "text", "shape": [2], "datatype": "BYTES",
                "parameters": {"binary_data_size": size},
            }))
        };
        let mut after = &packed[..];
        assert_eq!(binary(11).texts(&mut after).unwrap(), ["a", "é"]);
        assert_eq!(after, b"rest");
        for size in [1, 4, 9, 10, 12, 15, 16, usize::MAX] {
            assert!(binary(size).texts(&mut &packed[..]).is_err(), "{size}");
        }
    }

    #[test]
    fn a_tensor_is_written_with_its_size_if_its_bytes_follow() {
        let tensor =
            |data| OutputTensor { name: "x", shape: vec![2], data, parameters: Map::new() };
        let mut after = b"-".to_vec();
        let value = tensor(OutputData::Fp64(vec![0.5, 1.0])).write(Some(&mut after));
        assert_eq!(value["parameters"], json!({"binary_data_size": 16}));
        assert!(value.get("data").is_none());
        let texts = tensor(OutputData::Bytes(vec!["a".into(), "é".into()]));
        assert_eq!(texts.write(Some(&mut after))["parameters"]["binary_data_size"], 11);
        tensor(OutputData::Bool(vec![true, false])).write(Some(&mut after));
        assert_eq!(after.len(), 1 + 16 + 11 + 2);
        assert_eq!(&after[17..], b"\x01\0\0\0a\x02\0\0\0\xc3\xa9\x01\0");
        let plain = tensor(OutputData::Bool(vec![true, false])).write(None);
        assert_eq!(
            plain,
            json!({"name": "x", "datatype": "BOOL", "shape": [2], "data": [true, false]})
        );
    }
}
