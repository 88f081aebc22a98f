//! Vectors as data scientists have them: a matrix in NumPy's format and the ids of its rows.

use super::Vectors;
use npyz::{NpyFile, Order};
use std::io::Result as Read;

/// The rows of a `.npy` file of 16, 32 or 64-bit floats, in order of rows, by these ids.
///
/// # Errors
/// What is wrong with the file or the ids, in words.
pub fn vectors(npy: &[u8], ids: Vec<String>) -> Result<Vectors, String> {
    let file = NpyFile::new(npy).map_err(|error| format!("the vectors are no .npy file: {error}"))?;
    let [rows, dim] = file.shape()[..] else {
        return Err(format!("the vectors have the shape {:?}: expected rows and numbers of a row", file.shape()));
    };
    if file.order() != Order::C {
        return Err("the vectors are stored column by column: write numpy.ascontiguousarray of them".to_owned());
    }
    // no number has less than two bytes: so that no room is made for more than there is
    if rows.checked_mul(dim).is_none_or(|numbers| numbers > npy.len() as u64 / 2) {
        return Err(format!("{rows} rows of {dim} numbers are more than the file has"));
    }
    if dim == 0 || rows != ids.len() as u64 {
        return Err(format!("{rows} rows of {dim} numbers, {} ids", ids.len()));
    }
    let values: Read<Vec<f32>> = match file.try_data::<f32>() {
        Ok(values) => values.collect(),
        Err(file) => match file.try_data::<half::f16>() {
            Ok(values) => values.map(|value| value.map(half::f16::to_f32)).collect(),
            Err(file) => match file.try_data::<f64>() {
                Ok(values) => values.map(|value| value.map(|value| value as f32)).collect(),
                Err(file) => return Err(format!("the vectors are {}: expected floats", file.dtype().descr())),
            },
        },
    };
    let values = values.map_err(|error| format!("the vectors are cut short: {error}"))?;
    let vectors: Vectors = ids.into_iter().zip(values.chunks_exact(dim as usize).map(<[f32]>::to_vec)).collect();
    if vectors.len() as u64 == rows { Ok(vectors) } else { Err("an id stands twice".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(head: &str, values: &[u8]) -> Vec<u8> {
        let head = format!("{head:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(head.len() as u16).to_le_bytes());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(values);
        bytes
    }

    fn head(kind: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}")
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("p{n}")).collect()
    }

    #[test]
    fn floats_of_every_width_are_read() {
        let numbers = [1.0f32, -2.0, 0.5, 4.0];
        let wide: Vec<u8> = numbers.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
        let half: Vec<u8> = numbers.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
        let plain: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        for (kind, bytes) in [("<f8", wide), ("<f2", half), ("<f4", plain)] {
            let read = vectors(&npy(&head(kind, "False", "(2, 2)"), &bytes), ids(2)).expect(kind);
            assert_eq!(read["p1"], [0.5, 4.0], "{kind}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let four = [0u8; 16];
        let said = |head: &str, ids: Vec<String>| vectors(&npy(head, &four), ids).expect_err("wrong");
        assert!(vectors(b"no", ids(1)).expect_err("wrong").starts_with("the vectors are no .npy file"));
        assert!(said(&head("<f4", "False", "(4,)"), ids(4)).contains("the shape [4]"));
        assert!(said(&head("<f4", "True", "(2, 2)"), ids(2)).contains("ascontiguousarray"));
        assert!(said(&head("<f4", "False", "(4000000000, 4000000000)"), ids(2)).contains("more than the file has"));
        assert!(said(&head("<f4", "False", "(2, 9)"), ids(2)).contains("cut short"));
        assert_eq!(said(&head("<f4", "False", "(2, 2)"), ids(3)), "2 rows of 2 numbers, 3 ids");
        assert_eq!(said(&head("<i4", "False", "(2, 2)"), ids(2)), "the vectors are '<i4': expected floats");
        assert_eq!(said(&head("<f4", "False", "(2, 2)"), vec!["a".to_owned(), "a".to_owned()]), "an id stands twice");
    }
}
