//! Prints an error with its causes, once, where it is handled.

use std::{error::Error, fmt};

/// Shows an error and its sources as `a: b: c`; a source that only repeats what stands there already is left out.
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut source = self.0.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !told.contains(&text) {
                told.push_str(": ");
                told.push_str(&text);
            }
            source = cause.source();
        }
        f.write_str(&told)
    }
}
