//! Numbers as people type them.

/// Digits of other scripts as ASCII: whoever answers in Arabic, Persian, Tibetan or Chinese types numbers, too.
pub(super) fn ascii_digits(text: &str) -> String {
    let digit = |c: char| {
        let zero = [0x660, 0x6f0, 0xf20, 0xff10]
            .into_iter()
            .find(|zero| (*zero..zero + 10).contains(&u32::from(c)))?;
        char::from_digit(u32::from(c) - zero, 10)
    };
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}

/// A number from 1 as an index from 0.
pub(super) fn index(answer: &str, choices: usize) -> Result<usize, String> {
    match ascii_digits(answer.trim()).parse::<usize>() {
        Ok(number) if (1..=choices).contains(&number) => Ok(number - 1),
        _ => Err(format!("Please type a number from 1 to {choices}.")),
    }
}

/// Numbers and ranges (`1 3`, `1,3-5`) as indices, in order, each once.
pub(super) fn indices(answer: &str, choices: usize) -> Result<Vec<usize>, String> {
    let mut chosen = vec![false; choices];
    for part in answer
        .split([' ', ',', ';', '،', '、', '，'])
        .filter(|part| !part.is_empty())
    {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first, choices), index(last, choices));
        match (first, last) {
            (Ok(first), Ok(last)) if first <= last => chosen[first..=last].fill(true),
            _ => return Err(format!("Please type numbers from 1 to {choices}, such as 1 or 1,2.")),
        }
    }
    Ok((0..choices).filter(|index| chosen[*index]).collect())
}
