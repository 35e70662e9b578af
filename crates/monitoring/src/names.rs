//! Numbers for the strings of records.

use std::collections::HashMap;

/// Numbers for strings, in the order of their first use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    /// Returns the number of a string, which is added if it is new.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    /// Returns the string of a number.
    pub(crate) fn of(&self, number: u32) -> &str {
        &self.names[number as usize]
    }
}
