//! Files as people and attackers upload them.

use flate2::{Compress, Compression, Crc, FlushCompress, write::DeflateEncoder};
use std::io::Write as _;

/// The name and the content of a file.
pub(super) type File<'a> = (&'a str, &'a [u8]);

/// The type of a form.
pub(super) const FORM: &str = "multipart/form-data; boundary=the-boundary-of-the-tests";

/// Makes a form of fields and files.
pub(super) fn form(fields: &[(&str, &str)], files: &[File<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        part(&mut body, &format!("name=\"{name}\""), value.as_bytes());
    }
    for (file, content) in files {
        part(&mut body, &format!("name=\"file\"; filename=\"{file}\""), content);
    }
    body.extend_from_slice(b"--the-boundary-of-the-tests--\r\n");
    body
}

fn part(body: &mut Vec<u8>, disposition: &str, content: &[u8]) {
    let head = format!(
        "--the-boundary-of-the-tests\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n");
}

/// Makes an archive with one file, packed.
pub(super) fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    let mut crc = Crc::new();
    crc.update(content);
    archive_of(name, (&packed, crc.sum()), content.len())
}

/// The megabytes that [`bomb`] unpacks to.
pub(super) const BOMB_MEGABYTES: usize = 300;

/// Makes a DOCX file of some kilobytes whose text is very long. `declared` is the size that its head names.
pub(super) fn bomb(declared: usize) -> Vec<u8> {
    let mut packer = Compress::new(Compression::best(), false);
    let mut packed = Vec::with_capacity(4_096);
    let head = b"<w:document><w:body><w:p><w:r><w:t>";
    packer.compress_vec(head, &mut packed, FlushCompress::Full).unwrap();
    // A block that begins at a byte and refers to nothing before it can be repeated.
    let (megabyte, mut block) = (vec![b'a'; 1 << 20], Vec::with_capacity(8_192));
    packer.compress_vec(&megabyte, &mut block, FlushCompress::Full).unwrap();
    assert_eq!(packer.total_in(), (head.len() + megabyte.len()) as u64);
    packed.extend(block.repeat(BOMB_MEGABYTES));
    // The last block is empty.
    packed.extend([3, 0]);
    archive_of("word/document.xml", (&packed, 0), declared)
}

/// Makes an archive of a packed file with its checksum.
fn archive_of(name: &str, (packed, crc): (&[u8], u32), size: usize) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    // The version, the flags, the method (8: deflate), and the time; then the checksum, the sizes and the lengths of the names.
    let mut fields = vec![20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0x58];
    fields.extend(crc.to_le_bytes());
    fields.extend(number(packed.len()));
    fields.extend(number(size));
    fields.extend([u8::try_from(name.len()).unwrap(), 0, 0, 0]);
    let local = [b"PK\x03\x04", fields.as_slice(), name.as_bytes(), packed].concat();
    let mut central = [b"PK\x01\x02\x14\x00", fields.as_slice()].concat();
    central.extend([0; 14]);
    central.extend_from_slice(name.as_bytes());
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend(number(central.len()));
    end.extend(number(local.len()));
    end.extend([0, 0]);
    [local, central, end].concat()
}

/// Makes a DOCX file with one paragraph.
pub(super) fn docx(text: &str) -> Vec<u8> {
    let xml = format!(
        r#"<?xml version="1.0"?><w:document xmlns:w="x"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"#
    );
    archive("word/document.xml", xml.as_bytes())
}

const FONT: &str =
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";

/// Makes a PDF file with one page. `encryption` is the dictionary of its encryption.
pub(super) fn pdf(text: &str, encryption: Option<&str>) -> Vec<u8> {
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>".to_owned(),
        FONT.to_owned(),
    ];
    objects.extend(page_of(4, text));
    objects.extend(encryption.map(str::to_owned));
    let keys = " /Encrypt 6 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]";
    written(&objects, encryption.map_or("", |_| keys))
}

/// Returns the objects `number` and `number + 1`: a page with a text.
fn page_of(number: usize, text: &str) -> [String; 2] {
    let stream = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
    let content = number + 1;
    [
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {content} 0 R >>"
        ),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
    ]
}

/// Writes the objects of a PDF file, with `more` in its trailer.
fn written(objects: &[String], more: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        places.push(out.len());
        write!(out, "{} 0 obj\n{object}\nendobj\n", i + 1).unwrap();
    }
    let (at, size) = (out.len(), objects.len() + 1);
    write!(out, "xref\n0 {size}\n0000000000 65535 f \n").unwrap();
    for place in places {
        writeln!(out, "{place:010} 00000 n ").unwrap();
    }
    write!(out, "trailer\n<< /Size {size} /Root 1 0 R{more} >>\nstartxref\n{at}\n%%EOF\n").unwrap();
    out
}

/// Makes a PDF file that opens with a password only: no password belongs to these invented keys.
pub(super) fn encrypted_pdf() -> Vec<u8> {
    let (owner, user) = ("1f".repeat(32), "2e".repeat(32));
    let keys =
        format!("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <{owner}> /U <{user}> >>");
    pdf("Returns within ninety days.", Some(&keys))
}

/// The pages of a PDF whose text takes some seconds: the time grows with their square.
const SLOW_PAGES: usize = if cfg!(debug_assertions) { 1_200 } else { 5_000 };

/// Makes a PDF file that takes some seconds to read.
pub(super) fn slow_pdf() -> Vec<u8> {
    let kids: Vec<String> = (0..SLOW_PAGES).map(|page| format!("{} 0 R", first_of(page))).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {SLOW_PAGES} >>", kids.join(" ")),
        FONT.to_owned(),
    ];
    for page in 0..SLOW_PAGES {
        objects.extend(page_of(first_of(page), &format!("Page {page} says when the shop opens.")));
    }
    written(&objects, "")
}

/// Returns the number of the first of the two objects of a page.
fn first_of(page: usize) -> usize {
    4 + 2 * page
}
