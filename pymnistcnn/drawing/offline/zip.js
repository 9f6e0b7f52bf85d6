// A zip archive of a few small files, as they are: [{name, bytes}] to a Blob.

function zipOf(files) {
  const encoder = new TextEncoder();
  const [parts, directory] = [[], []];
  let at = 0;
  for (const { name, bytes } of files) {
    const path = encoder.encode(name);
    // version, flags (names in UTF-8), no compression, time, date (1 January 1980), checksum, sizes, lengths
    const common = [[20, 2], [0x800, 2], [0, 2], [0, 2], [0x21, 2], [crcOf(bytes), 4], [bytes.length, 4],
      [bytes.length, 4], [path.length, 2], [0, 2]];
    const local = [littleEndian([0x04034b50, 4], ...common), path, bytes];
    directory.push(littleEndian([0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]), path);
    parts.push(...local);
    at += local.reduce((sum, part) => sum + part.length, 0);
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = littleEndian([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [size, 4], [at, 4], [0, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function littleEndian(...numbers) {
  return Uint8Array.from(numbers.flatMap(([number, bytes]) => Array.from({ length: bytes }, (_, i) => number >>> (8 * i))));
}

function crcOf(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}
