//! Writing a generation: whole or not at all.

use super::{FileError, MAGIC, Tag, VERSION, crc};
use crate::generation::{Generation, Part};
use pulp::bytemuck::cast_slice;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The head of a section before its checksum: what, how long, the checksum of its bytes.
pub(super) const HEAD: usize = 4 + 8 + 4 + 4;

/// Magic, version, parts, number, length of the whole file, checksum.
pub(super) const HEADER: usize = 8 + 4 + 4 + 8 + 8 + 4;

type Section<'a> = (Tag, std::borrow::Cow<'a, [u8]>);

impl Generation {
    /// Writes this generation to `path`: into a temporary file beside it, synced, then renamed, so that the path holds
    /// the old file or the new one, whole. The bytes written.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn save(&self, path: &Path) -> Result<u64, FileError> {
        let temporary = path.with_extension("writing");
        let written = self.write(&temporary).and_then(|bytes| {
            std::fs::rename(&temporary, path)?;
            // The rename itself must last too.
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
            Ok(bytes)
        });
        written.map_err(|source| {
            drop(std::fs::remove_file(&temporary));
            FileError::io(path, source)
        })
    }

    fn write(&self, path: &Path) -> std::io::Result<u64> {
        let mut sections: Vec<Section<'_>> = self.parts.iter().flat_map(sections).collect();
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for (row, vector) in self.recent.rows() {
            rows.extend(row.to_le_bytes());
            values.extend_from_slice(vector);
        }
        sections.push((Tag::RecentRows, rows.into()));
        sections.push((Tag::RecentVectors, cast_slice::<f32, u8>(&values).to_vec().into()));
        let bytes = HEADER + sections.iter().map(|(_, bytes)| HEAD + bytes.len()).sum::<usize>();

        let mut file = BufWriter::new(File::create(path)?);
        let mut header = Vec::with_capacity(HEADER);
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend((self.parts.len() as u32).to_le_bytes());
        header.extend(self.number().to_le_bytes());
        header.extend((bytes as u64).to_le_bytes());
        header.extend(crc(&header).to_le_bytes());
        file.write_all(&header)?;
        for (tag, bytes) in &sections {
            let mut head = Vec::with_capacity(HEAD);
            head.extend((*tag as u32).to_le_bytes());
            head.extend((bytes.len() as u64).to_le_bytes());
            head.extend(crc(bytes).to_le_bytes());
            head.extend(crc(&head).to_le_bytes());
            file.write_all(&head)?;
            file.write_all(bytes)?;
        }
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(bytes as u64)
    }
}

/// What a part is made of.
fn sections(part: &Part) -> Vec<Section<'_>> {
    let (base, spec) = (&*part.base, &part.base.spec);
    let codes = base.codes.as_ref();
    let graph = base.graph.as_ref();
    let mut shape: Vec<u64> = [base.len(), base.vectors.dim(), spec.metric as usize, spec.exact.into()]
        .into_iter()
        .chain([spec.ef_search, spec.m, spec.ef_construction, spec.codes.into()])
        .chain([codes.is_some().into(), graph.map_or(0, |graph| graph.width)])
        .map(|number| number as u64)
        .collect();
    shape.push(graph.is_some_and(|graph| graph.several).into());
    let bytes = |numbers: &[u32]| cast_slice::<u32, u8>(numbers).to_vec();
    let mut entries = Vec::new();
    if let Some(graph) = graph {
        let of = &graph.entries;
        for list in [&of.rows, &of.first, &of.links] {
            entries.push(list.len() as u32);
            entries.extend_from_slice(list);
        }
    }
    let dead: Vec<u32> = (0..base.len() as u32).filter(|&at| part.dead.contains(at)).collect();
    let gram = base.gram.get().map_or(&[][..], Vec::as_slice);
    vec![
        (Tag::Shape, cast_slice::<u64, u8>(&shape).to_vec().into()),
        (Tag::Name, spec.name.as_bytes().into()),
        (Tag::Rows, cast_slice(&base.rows).into()),
        (Tag::Vectors, cast_slice(base.vectors.all()).into()),
        (Tag::Codes, codes.map_or(&[][..], |codes| cast_slice(codes.all())).into()),
        (Tag::Ranges, cast_slice::<f32, u8>(&codes.map(|codes| codes.ranges()).unwrap_or_default()).to_vec().into()),
        (Tag::Links, graph.map_or(&[][..], |graph| cast_slice(graph.links.all())).into()),
        (Tag::Entries, bytes(&entries).into()),
        (Tag::Dead, bytes(&dead).into()),
        (Tag::Gram, cast_slice(gram).into()),
    ]
}
