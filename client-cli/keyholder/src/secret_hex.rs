//! Secrets in the state file, which is wrapped as a whole: 64 hexadecimal characters, never kept in a plain `String`.

use marram_crypto::secret::SecretBytes;
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
use zeroize::Zeroizing;

/// Length of every secret here, in bytes.
const LEN: usize = 32;

pub(crate) fn serialize<S: Serializer>(secret: &SecretBytes<LEN>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(hex::encode(secret.expose())))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretBytes<LEN>, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    let mut decoded = Ok(());
    let secret = SecretBytes::fill_with(|bytes| decoded = hex::decode_to_slice(text.as_bytes(), bytes));
    decoded.map_err(|_| D::Error::custom("64 hexadecimal characters are needed"))?;
    Ok(secret)
}
