//! Writes the JSON Schema of an incident to standard output.

use marram_incident::Incident;

fn main() -> serde_json::Result<()> {
    println!("{}", serde_json::to_string_pretty(&schemars::schema_for!(Incident))?);
    Ok(())
}
