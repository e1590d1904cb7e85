//! Writes `seeds/` anew. What is drawn at random is left as it is: to make it anew, remove it first.

use marram_fuzz::{inputs, seeds};

fn main() -> std::io::Result<()> {
    seeds::write(&inputs("seeds"), seeds::fixed(), true)?;
    seeds::write(&inputs("seeds"), seeds::drawn(), false)
}
