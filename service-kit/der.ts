/** This much DER is all that is needed where the bytes themselves count. Whatever is not as it must be is a RangeError. */
export type DerElement = {
  readonly tag: number
  readonly content: Uint8Array
  /** With its tag and length. */
  readonly raw: Uint8Array
}
export const derTags = { integer: 0x02, bits: 0x03, oid: 0x06, utf8: 0x0c, sequence: 0x30 } as const
/** Three bytes say how long sixteen megabytes are. */
const lengthBytesAtMost = 3

export function childrenOf({ content }: DerElement): DerElement[] {
  const found: DerElement[] = []
  for (let at = 0; at < content.length; ) {
    const { element, end } = elementAt(content, at)
    found.push(element)
    at = end
  }
  return found
}

function elementAt(bytes: Uint8Array, start: number): { element: DerElement; end: number } {
  const [tag, first] = [byteAt(bytes, start), byteAt(bytes, start + 1)]
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (lengthBytes > lengthBytesAtMost) throw new RangeError('too long')
  let length = first < 0x80 ? first : 0
  for (let index = 0; index < lengthBytes; index++) length = length * 256 + byteAt(bytes, start + 2 + index)
  const from = start + 2 + lengthBytes
  if (from + length > bytes.length) throw new RangeError('cut short')
  const end = from + length
  return { element: { tag, content: bytes.subarray(from, end), raw: bytes.subarray(start, end) }, end }
}

export function only(bytes: Uint8Array, tag: number): DerElement {
  const { element, end } = elementAt(bytes, 0)
  if (end !== bytes.length) throw new RangeError('something follows')
  return expected(element, tag)
}

export function expected(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw new RangeError('of another type')
  return element
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new RangeError('cut short')
  return byte
}
